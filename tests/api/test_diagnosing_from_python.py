"""harness.diagnose, and the diagnosis in what assert_gradients_match raises."""

import numpy as np
import pytest

import harness

CASE = "cases/basic/activations[activation=tanh,dtype=float64]"


@pytest.fixture(scope="module")
def problem():
    return harness.load_case("cases/basic/activations.yaml[activation=tanh,dtype=float64]").problem()


def answer(problem):
    return dict(harness.run("numpy-split", problem).tensors)


def test_the_right_answer_has_no_diagnosis(problem):
    assert harness.diagnose(harness.run("numpy-concat", problem), problem) == []
    assert harness.diagnose(answer(problem), problem) == []


def test_a_wrong_answer_has_one(problem):
    wrong = {"layer0.W_hh": answer(problem)["layer0.W_hh"].T.tolist()}
    first = harness.diagnose(wrong, problem)[0]
    assert isinstance(first, harness.Diagnosis)
    assert (first.fault, first.tensor, first.tensors) == ("transposed", "layer0.W_hh", ("layer0.W_hh",))
    assert first.residual == 0
    assert str(first).startswith("transposed: layer0.W_hh is the transpose of the right one. (residual 0.0e+00)")


def test_nothing_is_changed_by_looking(problem):
    wrong = answer(problem)
    wrong["inputs"] = wrong["inputs"] * 2
    before = {name: array.copy() for name, array in wrong.items()}
    harness.diagnose(wrong, problem)
    for name, array in wrong.items():
        np.testing.assert_array_equal(array, before[name])


def test_the_assertion_says_what_the_fault_is(problem):
    def mine(of):
        gradients = dict(harness.run("numpy-split", of).gradients)
        return {"layer0.b_h": 2 * gradients["layer0.b_h"], "layer0.W_hh": gradients["layer0.W_hh"]}

    with pytest.raises(AssertionError, match=r"diagnosis: factor: layer0.b_h is 2 times as large as the right one"):
        harness.assert_gradients_match(mine, problem.case)
