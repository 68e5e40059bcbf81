"""The sight of a recurrence's problem: what hides which faults of a step."""

from __future__ import annotations

import pytest

import harness
from harness.case.recurrent import Draw
from harness.diagnosis.recurrent.sight import TooLargeError, sight
from harness.problem.configurations import configurations
from harness.problem.recurrent import build_recurrence, problem_of
from harness.recurrences import recurrences


@harness.recurrence(
    weights={"W": "I H", "U": "H H", "b": "H"}, inputs={"x": "I"}, state={"h": "H"}, optional=("b", "h")
)
def plain(xp, w, x, s):
    a = x["x"] @ w["W"] + s["h"] @ w["U"]
    h = xp.tanh(a if w["b"] is None else a + w["b"])
    return {"h": h}, h


def of(sizes=None, **draw):
    return sight(problem_of(plain, Draw(**draw), sizes or {}))


def test_nothing_is_hidden_where_everything_differs():
    found = of()
    assert not found.missed
    assert len(found.seen) > 30
    assert of(seed=5, T=9, B=2).missed == {}


HIDDEN = {
    "one step": ({"T": 1}, "one step: nothing is carried back through time", "U untransposed", False),
    "one step, and a carry": ({"T": 1}, "one step: nothing is carried back through time", "is not carried back", True),
    "few steps": ({"T": 3}, "3 steps", "is cut every 3 steps", True),
    "one sequence": ({"B": 1}, "one sequence", "the gradient into b is a mean", True),
    "no last states": ({"upstream": "outputs alone"}, "no gradient by the last states", "by the last state h", True),
    "no outputs": (
        {"upstream": "last states alone"},
        "no gradient by the outputs",
        "outputs have the wrong sign",
        True,
    ),
    "zero states": ({"state": "zeros"}, "initial states of zero", "U leaves out the first step", True),
    "one unit": ({"sizes": {"H": 1}}, "H is 1", "U untransposed", True),
    "without a bias": ({"absent": ("b",)}, "b is absent", "the gradient into b is left out", True),
    "without a state": ({"absent": ("h",)}, "h is absent", "U leaves out the first step", True),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_fault_is_hidden_for_a_reason(name):
    draw, reason, text, is_hidden = HIDDEN[name]
    found = of(**draw)
    of_reason = [fault for fault, why in found.missed.items() if why == reason]
    assert of_reason
    assert any(text in fault for fault in of_reason) is is_hidden, of_reason
    assert not set(found.seen) & found.missed.keys()
    assert {*found.seen, *found.missed} == set(of().seen)


def test_two_properties_may_hide_a_fault_together():
    found = of(B=1, T=1, upstream="last states alone")
    assert "several of its properties together" in found.missed.values()
    assert found.missed["The gradients by the outputs are taken in reverse order of time."] != "one sequence"


def test_only_faults_that_can_occur_count():
    """A rule that changes no gradient of any problem, such as a slope of 1 left out, is no fault."""

    @harness.recurrence(weights={"a": "H"}, inputs={"x": "H"}, state={"h": "H"})
    def linear(xp, w, x, s):
        h = w["a"] * s["h"] + (x["x"] + 0 * x["x"])
        return {"h": h}, h

    found = sight(linear.problem())
    everything = " ".join([*found.seen, *found.missed])
    assert "the gradient into x through the multiply" not in everything
    assert "`h = w" in everything


def test_a_dtype_hides_nothing_by_itself():
    assert of(dtype="float32").missed == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", recurrences())
def test_the_problems_that_are_made_detect_every_fault_together(name):
    recurrence = recurrences()[name]
    problems = [build_recurrence(case, recurrence) for case in configurations(recurrence)]
    found = [sight(problem) for problem in problems[:4]]
    assert not {fault for each in found for fault in each.missed} - {fault for each in found for fault in each.seen}
    one_step = found[2]
    assert "one step: nothing is carried back through time" in one_step.missed.values()


@pytest.mark.slow
def test_one_that_is_too_large_is_refused():
    with pytest.raises(TooLargeError, match="numbers, and each fault needs one; at most 2e\\+07, so use smaller sizes"):
        of(sizes={"H": 1000}, B=100, T=100)
