"""The explanation of right, wrong, partial, misshapen and random answers to a recurrence."""

from dataclasses import replace

import numpy as np
import pytest

import harness
from benchmarks.edits import passes
from benchmarks.edits.__main__ import spoilt
from benchmarks.edits.editing import Pass
from harness.derive.noise import rounding_noise
from harness.diagnosis import UNEXPLAINED
from harness.diagnosis.recurrent import Explainer

pytestmark = pytest.mark.slow

PASSES = passes.PASSES
NAMES = [recurrence.name for recurrence, _ in PASSES]
KINDS = ("one number", "one row", "one tensor", "two tensors", "every gradient")
"""The parts of an answer that are replaced by random numbers."""


@pytest.fixture(scope="module", params=PASSES, ids=NAMES)
def solved(request):
    """Return an explainer of a problem, and the right answer by hand."""
    recurrence, function = request.param
    problem = recurrence.problem(seed=3)
    return Explainer(problem, rounding_noise(problem.sequences)), function(problem)


@pytest.fixture(scope="module")
def lstm():
    problem = passes.lstm.problem(seed=3)
    return Explainer(problem, rounding_noise(problem.sequences)), passes.lstm_pass(problem)


def faults(found):
    return [each.fault for each in found]


def test_a_right_answer_has_no_explanation(solved):
    explainer, right = solved
    assert explainer.explained(right) == []
    for name, array in right.items():
        assert explainer.explained({name: array}) == []


def test_a_right_answer_in_float32_to_a_problem_in_float32_has_none():
    for recurrence, function in PASSES:
        problem = recurrence.problem(seed=4, dtype="float32")
        explainer = Explainer(problem, rounding_noise(problem.sequences))
        answer = function(problem)
        assert {array.dtype.name for array in answer.values()} == {"float32"}
        assert explainer.explained(answer) == [], recurrence.name


def test_a_float32_answer_to_a_problem_in_float64_is_said_to_be_that(solved):
    explainer, right = solved
    found = explainer.explained({name: array.astype(np.float32) for name, array in right.items()})
    assert faults(found) == ["lower-precision"]
    assert "float32" in found[0].explanation


def test_a_wrong_answer_in_float32_is_explained():
    for recurrence, function in PASSES:
        problem = recurrence.problem(seed=4, dtype="float32")
        explainer = Explainer(problem, rounding_noise(problem.sequences))
        without = dict(problem.upstream_state)
        state = next(iter(without))
        without[state] = np.zeros_like(without[state])
        answer = function(replace(problem, upstream_state=without))
        found = explainer.explained(answer)
        assert found, recurrence.name
        assert "last-state" in faults(found)[0], recurrence.name


@pytest.mark.parametrize("repeats", [1, pytest.param(6, marks=pytest.mark.full)])
def test_random_answers_have_no_false_explanation(solved, repeats):
    explainer, right = solved
    draw = np.random.default_rng(11)
    for kind in KINDS * repeats:
        answer = spoilt(right, kind, draw)
        found = explainer.explained(answer)
        assert faults(found) == [UNEXPLAINED], [str(each) for each in found]
        assert {name for name in answer if not np.array_equal(answer[name], right[name])} == set(found[0].tensors)


def test_random_parts_have_no_false_explanation(solved):
    """Small answers, of one tensor alone, have the fewest numbers to prove anything."""
    explainer, right = solved
    draw = np.random.default_rng(12)
    for name, array in right.items():
        wrong = draw.normal(size=array.shape) * np.abs(array).max()
        assert faults(explainer.explained({name: wrong})) == [UNEXPLAINED], name


def test_a_wrong_shape_is_named_and_the_rest_is_explained(solved):
    explainer, right = solved
    name = max(right, key=lambda each: right[each].ndim)
    answer = {**right, name: right[name].sum(0)}
    found = explainer.explained(answer)
    assert faults(found) == ["wrong-shape"]
    assert found[0].tensors == (name,)
    assert str(right[name].shape) in found[0].explanation
    other = next(each for each in right if each != name)
    both = explainer.explained({**answer, other: 3 * right[other]})
    assert faults(both)[0] == "wrong-shape"
    assert len(both) >= 2
    assert both[1].tensors == (other,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_named_and_the_rest_is_explained(solved, bad):
    explainer, right = solved
    name, other = list(right)[:2]
    answer = {each: np.array(array) for each, array in right.items()}
    answer[name].reshape(-1)[0] = bad
    found = explainer.explained(answer)
    assert faults(found) == ["not-finite"]
    assert found[0].tensors == (name,)
    found = explainer.explained({**answer, other: -right[other]})
    assert faults(found)[0] == "not-finite"
    assert faults(found)[1] != UNEXPLAINED
    assert found[1].tensors == (other,)


def test_a_huge_number_does_not_excuse_the_others(solved):
    explainer, right = solved
    name = next(iter(right))
    answer = {each: np.array(array) for each, array in right.items()}
    answer[name].reshape(-1)[0] = 1e12
    assert faults(explainer.explained(answer)) == [UNEXPLAINED]


def test_one_tensor_alone_is_explained(lstm):
    explainer, right = lstm
    (found,) = explainer.explained({"W": 0.37 * right["W"]})
    assert found.fault == "factor"
    assert found.explanation == "W is 0.37 times the right one."
    mean = explainer.explained({"W": right["W"] / 3})  # of the batch of three
    assert faults(mean)[0] == "mean"


def test_weights_alone_are_explained(lstm):
    explainer, _ = lstm
    problem = explainer.problem
    last = {name: 0 * array for name, array in problem.upstream_state.items()}
    answer = passes.lstm_pass(replace(problem, upstream_state=last))
    found = explainer.explained({name: answer[name] for name in ("W", "U", "b")})
    assert "last-state" in faults(found)[0]
    assert set(found[0].tensors) == {"W", "U", "b"}


def test_a_rule_and_a_transposed_tensor():
    """A fault of the pass, and one of a tensor that stands where the other cannot be seen."""

    @harness.recurrence(weights={"W": "H H", "U": "H H"}, inputs={"x": "H"}, state={"h": "H"})
    def square(xp, w, x, s):
        h = xp.tanh(x["x"] @ w["W"] + s["h"] @ w["U"])
        return {"h": h}, h

    problem = square.problem(seed=1)
    last = {name: 0 * array for name, array in problem.upstream_state.items()}
    answer = harness.run("derived", replace(problem, upstream_state=last)).tensors
    gradients = {name: answer[name] for name in ("W", "U", "inputs.x", "h0")}
    found = harness.diagnose({**gradients, "U": gradients["U"].T}, problem)
    assert found
    assert "last-state" in found[0].fault
    assert "transposed" in found[0].fault
    assert "U is transposed" in found[0].explanation


def test_a_wrong_forward_pass_is_said_first(lstm):
    explainer, right = lstm
    outputs = explainer.right["outputs"]
    found = explainer.explained({**right, "outputs": 1.01 * outputs, "W": 2 * right["W"]})
    assert faults(found) == [UNEXPLAINED]
    assert "forward pass" in found[0].explanation
    assert "outputs" in found[0].explanation


def test_what_grows_without_bound_is_explained():
    """A wrong slope above 1 makes gradients grow by many orders of magnitude, and their rounding with them."""
    edited = passes.peephole.problem(seed=5, T=20)
    explainer = Explainer(edited, rounding_noise(edited.sequences))

    source = Pass(passes.peephole_pass)
    edit = next(each for each in source.edits if each.text.startswith("1 - f → 1 + f"))
    answer = source.edited([edit])(edited.copy())
    assert np.abs(answer["W"]).max() > 1e2 * np.abs(explainer.right["W"]).max()
    found = explainer.explained(answer)
    assert faults(found) == ["slope"]
    assert "y (1 + y)" in found[0].explanation


def test_matching_tensors_are_left_alone(lstm):
    explainer, right = lstm
    nearly = {**right, "W": right["W"] * (1 + 1e-9), "U": 2 * right["U"]}
    found = explainer.explained(nearly, matching=["W"])
    assert found[0].tensors == ("U",)
    assert found[0].fault != UNEXPLAINED


def test_where_the_numbers_are_first_wrong(lstm):
    explainer, right = lstm
    answer = {**right, "inputs.x": right["inputs.x"].copy()}
    answer["inputs.x"][1, 2] += 0.37
    answer["inputs.x"][0, 4, 1] -= 0.11
    (found,) = explainer.explained(answer)
    assert found.fault == UNEXPLAINED
    assert found.start == "first wrong gradient: inputs.x at step 4 (counted from 0)"
