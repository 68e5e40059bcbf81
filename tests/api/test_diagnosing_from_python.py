"""harness.diagnose, and the diagnosis in what assert_gradients_match raises."""

import re

import numpy as np
import pytest

import harness
from harness.layout import layouts

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


def of_torch(problem):
    """The right gradients of the weights in torch's layout."""
    return layouts()["torch"].gradients_from_canonical(harness.run("numpy-split", problem).gradients, problem.structure)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: {"W_hh": r["layer0.W_hh"]}, "W_hh: returned 'W_hh', which is no tensor of this case; did you mean"),
        (lambda r: {"layer0.W_hx": r["layer0.W_xh"]}, "did you mean layer0.W_xh?"),
        (lambda r: {"layer7.W_xh": r["layer0.W_xh"]}, "which is no tensor of this case"),
        (lambda r: {"trained.layer0.W_xh": r["layer0.W_xh"]}, "which is no tensor of this case"),
        (lambda _: {"training.los": np.zeros(3)}, "which is no tensor of this case"),
        (lambda r: {"layer0.W_xh": r["layer0.W_xh"][:-1]}, "layer0.W_xh: has shape (2, 5), but should have (3, 5)"),
        (lambda r: {"layer0.W_xh": r["layer0.W_xh"].T}, "layer0.W_xh is the right one transposed"),
        (
            lambda r: {"layer0.h0": np.stack([r["layer0.h0"]] * 3)},
            "layer0.h0: has shape (3, 2, 5), but should have (2, 5)",
        ),
        (lambda r: {"outputs": r["outputs"].swapaxes(0, 1)}, "outputs: has shape (7, 2, 5), but should have (2, 7, 5)"),
        (lambda _: {"loss": np.ones(1)}, "loss: has shape (1,), but should have ()"),
        (lambda r: {**r, "layer0.bh": r["layer0.b_h"]}, "layer0.bh: returned 'layer0.bh', which is no tensor"),
    ],
    ids=[
        *("bare", "misspelt", "another layer", "no training", "no step", "a row short", "transposed", "not summed"),
        *("time first", "a loss of an axis", "one beside the right ones"),
    ],
)
def test_what_is_no_tensor_of_the_case_is_refused(problem, change, said):
    with pytest.raises(ValueError, match=re.escape(said)) as refused:
        harness.diagnose(change(answer(problem)), problem)
    assert str(refused.value).startswith(f"{problem.case.name}: nothing was diagnosed\n")


def test_names_of_another_layout_are_refused_with_the_way_to_convert_them(problem):
    with pytest.raises(
        ValueError, match="a name of the layout 'torch'; they are read in the layout 'split'"
    ) as refused:
        harness.diagnose(of_torch(problem), problem)
    assert str(refused.value).endswith("\nharness.diagnose(..., layout='torch') converts them")
    assert harness.diagnose(of_torch(problem), problem, layout="torch") == []
    wrong = of_torch(problem) | {"weight_hh_l0": of_torch(problem)["weight_hh_l0"].T}
    assert harness.diagnose(wrong, problem, layout="torch")[0].fault == "transposed"
    with pytest.raises(ValueError, match="there is no layout 'torhc'; did you mean 'torch'"):
        harness.diagnose(wrong, problem, layout="torhc")


def test_a_result_with_wrong_names_is_refused_as_well(problem):
    @harness.implementation("mine", layout="torch")
    def mine(of):
        W_hh = of_torch(problem)["weight_hh_l0"]
        return {"weight_hh": W_hh, "layer0.recurrent_kernel": W_hh}

    with pytest.raises(ValueError, match="this implementation has the layout 'torch'") as refused:
        harness.diagnose(harness.run(mine, problem), problem)
    assert "weight_hh: returned 'weight_hh', which is no tensor of this case; did you mean weight_hh_l0?" in str(
        refused.value
    )


def test_what_is_known_in_part_is_diagnosed_by_what_is_known(problem):
    W_hh = answer(problem)["layer0.W_hh"]
    known = np.indices(W_hh.shape).sum(axis=0) % 2 > 0
    exact = np.zeros(W_hh.shape)
    right = harness.Partial(np.where(known, W_hh, -9.0), known, exact)
    assert harness.diagnose({"layer0.W_hh": right}, problem) == []
    wrong = harness.Partial(np.where(known, 2 * W_hh, -9.0), known, exact)
    assert harness.diagnose({"layer0.W_hh": wrong}, problem)[0].fault == "factor"


def test_the_assertion_says_what_the_fault_is(problem):
    def mine(of):
        gradients = dict(harness.run("numpy-split", of).gradients)
        return {"layer0.b_h": 2 * gradients["layer0.b_h"], "layer0.W_hh": gradients["layer0.W_hh"]}

    with pytest.raises(AssertionError, match=r"diagnosis: factor: layer0.b_h is 2 times as large as the right one"):
        harness.assert_gradients_match(mine, problem.case)
