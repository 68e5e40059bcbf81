"""An argument of the wrong kind is refused by its name, with what it should be and how to have that."""

import inspect

import numpy as np
import pytest

import harness
from harness import api

FUNCTIONS = ("assert_gradients_match", "check_implementation", "compare", "diagnose", "load_case", "load_cases", "run")


class Other:
    """Nothing that any argument could be."""


@pytest.fixture
def good(workplace):
    """Return arguments that fit, by name."""
    case = harness.load_case(workplace / "cases" / "small.yaml")
    problem = case.problem()
    right = harness.run("numpy-split", problem)
    return {
        **dict.fromkeys(("actual", "expected"), right),
        **dict.fromkeys(("name_or_function", "function", "baseline"), "numpy-split"),
        **dict.fromkeys(("case", "case_or_recurrence", "path"), case),
        **{
            "problem": problem,
            "layout": "split",
            "nonfinite": None,
            "require_all": False,
            "tolerance": None,
            "rounds": "",
        },
    }


def test_every_argument_of_every_public_function_is_looked_at(good):
    looked_at = set()
    for name in FUNCTIONS:
        function = getattr(harness, name)
        for parameter in inspect.signature(function).parameters:
            arguments = {each: good[each] for each in inspect.signature(function).parameters}
            if name in ("load_case", "load_cases"):
                arguments = {}
            with pytest.raises((TypeError, ValueError)) as refused:
                function(**{**arguments, parameter: Other()})
            assert str(refused.value).startswith(parameter), (name, parameter)
            assert "should be" in str(refused.value)
            looked_at.add(parameter)
    assert looked_at == set(api._ARGUMENTS) | {"tolerance"}
    functions = {each for each in harness.__all__ if inspect.isfunction(getattr(harness, each))}
    of_their_own = {"check_function", "implementation", "make_case", "recurrence"}  # whose tests have their arguments
    assert functions == {*FUNCTIONS, *of_their_own}


WRONG = {
    "a case for a problem": (
        lambda given: harness.diagnose({"loss": 1.0}, given["case"]),
        TypeError,
        r"problem is of type Case, but should be a Problem, as harness.load_case\(...\).problem\(\) returns it",
    ),
    "a name for a problem": (
        lambda _: harness.run("numpy-split", "basic/tanh"),
        ValueError,
        "problem is 'basic/tanh', but should be a Problem",
    ),
    "an implementation for a case": (
        lambda _: harness.assert_gradients_match("numpy-split", harness.implementation("mine")(dict)),
        TypeError,
        "case is of type Implementation, but should be a Case",
    ),
    "an answer for a function": (
        lambda given: harness.assert_gradients_match({"loss": 1.0}, given["case"]),
        TypeError,
        "function is of type dict, but should be an implementation's name",
    ),
    "an array for an answer": (
        lambda _: harness.compare(np.ones(3), np.ones(3)),
        TypeError,
        "actual is of type ndarray, but should be a Result",
    ),
    "a problem in another layout": (
        lambda given: harness.run("numpy-split", given["problem"].in_layout("torch")),
        ValueError,
        "problem is in the layout 'torch', but should be a Problem, as .*, in 'split'",
    ),
    "a word that is none": (
        lambda _: harness.compare({"loss": 1.0}, {"loss": 1.0}, nonfinite="allow"),
        ValueError,
        "nonfinite is 'allow', but should be 'refused', 'allowed' or None",
    ),
    "a number for a truth": (
        lambda _: harness.compare({"loss": 1.0}, {"loss": 1.0}, require_all=1),
        TypeError,
        "require_all is 1, but should be True or False",
    ),
}


@pytest.mark.parametrize(("call", "refused", "said"), WRONG.values(), ids=list(WRONG))
def test_it_is_refused_with_what_should_be(good, call, refused, said):
    with pytest.raises(refused, match=said):
        call(good)
