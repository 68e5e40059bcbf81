"""Arrays that a caller may leave out: the step, every route and every check go without them."""

from __future__ import annotations

import numpy as np
import pytest

import harness
from harness.case.recurrent import Draw
from harness.derive.stepping import StepError
from harness.problem.configurations import configurations
from harness.problem.recurrent import problem_of
from harness.recurrences import DeclarationError

OPTIONAL = ("b", "z", "m", "h")


@harness.recurrence(
    weights={"W": "I H", "d": "H", "b": "H"},
    inputs={"x": "I", "z": "H"},
    state={"h": "H"},
    context={"m": "H"},
    optional=OPTIONAL,
)
def gated(xp, w, x, s):
    a = x["x"] @ w["W"] + s["h"] * w["d"]
    h = xp.tanh(a if w["b"] is None else a + w["b"])
    y = h if x["z"] is None else h * xp.silu(x["z"])
    return {"h": h}, y if x["m"] is None else y * x["m"]


def without(*absent):
    return problem_of(gated, Draw(absent=absent), {})


ABSENT = [(name,) for name in OPTIONAL] + [OPTIONAL]
ROUTES = [
    "complex-step",
    "forward-mode",
    pytest.param("torch-cell", marks=pytest.mark.framework("torch")),
    pytest.param("jax", marks=pytest.mark.framework("jax")),
    pytest.param("tensorflow", marks=pytest.mark.framework("tensorflow")),
]


def name_of(gradient):
    return gradient.removeprefix("inputs.").removesuffix("0")


@pytest.mark.parametrize("absent", ABSENT, ids=" ".join)
def test_a_problem_lacks_them(absent):
    problem = without(*absent)
    there = {*problem.weights, *problem.inputs, *problem.initial_state}
    assert there == {"W", "d", "b", "x", "z", "m", "h"} - set(absent)
    assert problem.upstream_state.keys() == {"h"}
    found = harness.run("derived", problem)
    assert {name_of(each) for each in found.gradients if not each.startswith("last.")} == there


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("absent", ABSENT, ids=" ".join)
def test_every_route_agrees(absent, route):
    problem = without(*absent)
    found, expected = harness.run(route, problem), harness.run("derived", problem)
    assert found.gradients.keys() == expected.gradients.keys()
    assert harness.compare(found, expected).matches


NEUTRAL = {"b": 0.0, "m": 1.0, "h": 0.0}
"""Values of the arrays that make no difference to the step."""


@pytest.mark.parametrize("name", NEUTRAL)
def test_an_absent_array_is_as_one_that_makes_no_difference(name):
    problem, whole = without(name), without()
    for held in (whole.weights, whole.inputs, whole.initial_state):
        if name in held:
            held[name] = np.full_like(held[name], NEUTRAL[name])
    found, expected = harness.run("derived", problem), harness.run("derived", whole)
    for gradient, array in found.gradients.items():
        np.testing.assert_array_equal(array, expected.gradients[gradient], gradient)


def test_problems_that_are_made_leave_out_each_and_all():
    left_out = [tuple(case.recurrence["draw"]["absent"]) for case in configurations(gated)]
    assert [each for each in left_out if each] == ABSENT
    assert left_out[0] == ()


@harness.recurrence(weights={"b": "H"}, inputs={"x": "H"}, state={"h": "H"}, optional=("b",))
def of_one(xp, w, x, s):
    h = xp.tanh(x["x"] + s["h"]) if w["b"] is None else xp.tanh(x["x"] + s["h"] + w["b"])
    return {"h": h}, h


def test_there_is_one_problem_without_the_only_one():
    left_out = [tuple(case.recurrence["draw"]["absent"]) for case in configurations(of_one)]
    assert [each for each in left_out if each] == [("b",)]


def right(problem):
    return dict(harness.run("derived", problem).gradients)


def uninitialised(problem):
    """flash-linear-attention 862: without the optional input, a gradient has what its memory held before."""
    return right(problem) | ({} if "z" in problem.inputs else {"W": np.full_like(problem.weights["W"], 1e-3)})


def gradient_of_nothing(problem):
    return right(problem) | ({} if "b" in problem.weights else {"b": np.zeros(5)})


def test_a_kernel_that_needs_an_optional_input_is_caught():
    harness.assert_gradients_match(right, gated, require_all=True)
    with pytest.raises(AssertionError, match=r"without z[\s\S]*W: .*outside the tolerance"):
        harness.assert_gradients_match(uninitialised, gated)


def test_a_gradient_of_an_absent_array_is_no_gradient():
    with pytest.raises(AssertionError, match=r"without b\]: [\s\S]*returned 'b', which is no tensor of this case"):
        harness.assert_gradients_match(gradient_of_nothing, gated)


def test_a_step_that_needs_it_is_refused():
    @harness.recurrence(weights={"b": "H"}, inputs={"x": "H"}, state={"h": "H"}, optional=("b",))
    def needing(xp, w, x, s):
        h = xp.tanh(x["x"] + s["h"] + w["b"])
        return {"h": h}, h

    with pytest.raises(StepError, match=r"line .*: a step computes with None, as an absent optional array is; write"):
        list(configurations(needing))


DECLARED = {
    "another name": (("cc",), "cell: optional has 'cc', which is not declared; there are b, x or h"),
    "nearly a name": (("bb",), r"cell: optional has 'bb', which is not declared; did you mean 'b'\?"),
    "a text": ("b", r"cell: optional is 'b', but should be names, such as \('b',\)"),
    "every input": (("x",), "cell: every input is optional; a sequence without inputs has no length"),
}


@pytest.mark.parametrize("mistake", DECLARED)
def test_a_wrong_declaration(mistake):
    optional, text = DECLARED[mistake]
    with pytest.raises(DeclarationError, match=text):

        @harness.recurrence(weights={"b": "H"}, inputs={"x": "H"}, state={"h": "H"}, optional=optional)
        def cell(xp, w, x, s): ...


def test_an_unknown_option_of_a_declaration():
    with pytest.raises(DeclarationError, match=r"cell: a recurrence has no 'optionals'; did you mean 'optional'\?"):

        @harness.recurrence(weights={}, inputs={"x": "H"}, state={"h": "H"}, optionals=("h",))
        def cell(xp, w, x, s): ...
