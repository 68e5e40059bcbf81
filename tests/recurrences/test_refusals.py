"""A step that not every route can follow is refused, with its own line and the way out."""

from __future__ import annotations

import linecache
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from harness.derive.namespaces.numpy import xp
from harness.derive.recording import Recording
from harness.derive.stepping import Loop, StepError
from harness.recurrences import DeclarationError
from harness.recurrences.base import recurrence

STEP = """\
import numpy as np
from harness.recurrences import recurrence

CONSTANTS = np.ones((3, 5))
KEPT = []

@recurrence(weights={weights}, inputs={{"x": "I"}}, state={{"h": "H"}})
def cell(xp, w, x, s):
    h = x["x"] @ w["W"] + s["h"]
    {line}
    return {returned}
"""
LINE = 10
"""The line of the step that each mistake stands in, unless it is in what the step returns."""


def made(line: str = "h = xp.tanh(h)", returned: str = '{"h": h}, h', weights: str = '{"W": "I H"}'):
    source = STEP.format(line=line, returned=returned, weights=weights)
    module = ModuleType("made")
    exec(compile(source, "cell.py", "exec"), module.__dict__)
    linecache.cache["cell.py"] = (len(source), None, source.splitlines(keepends=True), "cell.py")
    return module.cell


BY_LINE = {
    "a function of NumPy": ("h = np.tanh(h)", "a step uses np.tanh, which not every route can follow; use xp.tanh"),
    "a function of NumPy under another name": ("h = np.concatenate([h, h], 1)", "np.concatenate, .*; use xp.concat"),
    "a method of an array": ("h = h.mean(0)", ".mean of an array, .*; use xp.mean"),
    "a name that xp does not have": ("h = xp.tanhh(h)", "xp has no 'tanhh'; did you mean 'tanh'?"),
    "an argument of another framework": (
        "h = xp.sum(h, dim=-1)",
        r"xp.sum\(\) got an unexpected keyword argument 'dim'",
    ),
    "a global array": ("h = h + CONSTANTS", r"an array that is not an argument, of shape \(3, 5\); declare it among"),
    "a list": ("h = h * [1, 2, 3, 4, 5]", r"an array that is not an argument, of shape \(5,\); declare it among"),
    "writing into an array": (
        "h[:, 0] = 0",
        "a step writes into an array; use xp.concat or xp.stack to make a new one",
    ),
    "adding in place": ("h += 1", r"a step changes an array in place, as \+= does; write a = a \+ b"),
    "if": ("h = -h if h[0, 0] > 0 else h", "a step branches on a number .*; use xp.where for each element"),
    "if on an array": ("h = -h if h else h", "a step branches on a number .*; use xp.where for each element"),
    "and": ("h = h[0, 0] > 0 and h[0, 1] > 0 and h", "a step branches on a number .*; use xp.where"),
    "any": ("h = -h if (h > 0).any() else h", "a step uses .any of a comparison; only xp.where can follow"),
    "a comparison as a factor": ("h = h * (h > 0)", r"computes with a comparison; use xp.where\(a > b, 1.0, 0.0\) for"),
    "numbers as a condition": (
        "h = xp.where(h, h, 0)",
        r"should be a comparison of arrays; write xp.where\(a > 0, …, …\)",
    ),
    "a loop over an array": ("h = sum(row for row in h)", "loops over an array; use slices for its parts"),
    "float": ("h = h * float(h[0, 0])", "a step makes a float of one of its arrays"),
    "an index that is a list": ("h = h[:, [0, 1, 2, 3, 4]]", "an index of a step is a list; use slices, whole numbers"),
    "an index out of range": ("h = h[:, 9]", r"index does not fit arrays of shape \(3, 5\); check the declared shapes"),
    "shapes that do not fit": ("h = h @ w['W']", r"matmul does not fit arrays of shape \(3, 5\) and \(4, 5\)"),
    "shapes that do not fit in a sum": ("h = h + x['x']", r"add does not fit arrays of shape \(3, 5\) and \(3, 4\)"),
    "shapes that do not fit in a comparison": ("h = xp.where(h > x['x'], h, 0)", "greater does not fit arrays of"),
    "a root as a power": ("h = h ** 0.5", "a power that is not a whole number; use xp.sqrt"),
    "an undeclared weight": ("h = h @ w['V']", r"w\['V'\] is not declared among the weights; there are W; declare it"),
    "an undeclared state": ("h = h + s['hh']", r"s\['hh'\] is not declared among the state; did you mean 'h'\?"),
    "an attribute for a name": ("h = h + s.h", r"s.h is no attribute: s has the state by name; write s\['h'\]"),
    "all inputs for one": ("h = h + x @ w['W']", r"x is no array: x has the inputs by name; write x\['x'\]"),
    "an array kept from the call before": ("KEPT.append(h); h = h + KEPT[0]", "an array of an earlier call; declare"),
    "a mistake in Python": ("h = h + undefined", "NameError: name 'undefined' is not defined"),
    "einsum without what comes out": ("h = xp.einsum('bh,bh', h, h)", "should name its result, as in"),
}
BY_RETURN = {
    "another shape": ('{"h": h[:, :2]}, h', r"state 'h' has shape \(3, 2\) after a step, but \(3, 5\) before"),
    "an undeclared state": ('{"h": h, "c": h}, h', "a step returned a state 'c', which is not declared; there are h"),
    "no state": ("{}, h", "a step returned no state 'h'; it returned none; return it, or remove its declaration"),
    "another state alone": ('{"hh": h}, h', "a step returned no state 'h'; it returned hh; return it"),
    "the output alone": ("h", r"a step returned one array, but should return \(state, output\), the states by name"),
    "nothing": ("None", r"a step returned a NoneType, but should return \(state, output\)"),
    "no output": ('{"h": h}, None', "the output is None, but should be an array computed from the step's arguments"),
    "an array of its own": (
        '{"h": np.ones((3, 5))}, h',
        "state 'h' is of type ndarray, but should be an array computed",
    ),
    "an output without the batch": ('{"h": h}, xp.sum(h)', r"the output has shape \(\), but should begin with the"),
    "a state kept from the call before": (
        '{"h": (KEPT.append(h), KEPT[0])[1]}, h',
        "state 'h' is an array of an earlier call; declare it as a state",
    ),
}


@pytest.mark.parametrize(("line", "message"), BY_LINE.values(), ids=BY_LINE)
def test_what_a_step_does(drawn, line, message):
    problem = replace(drawn(made()), recurrence=made(line=line))
    with pytest.raises(StepError, match=f"^cell, line {LINE} of cell.py: .*{message}"):
        Recording(problem)


@pytest.mark.parametrize(("returned", "message"), BY_RETURN.values(), ids=BY_RETURN)
def test_what_a_step_returns(drawn, returned, message):
    problem = replace(drawn(made()), recurrence=made(returned=returned))
    with pytest.raises(StepError, match=f"^cell, line {LINE + 1} of cell.py: .*{message}"):
        Recording(problem)


def test_an_array_kept_from_an_earlier_recording(drawn):
    problem = drawn(made(), T=1)
    keeping = replace(problem, recurrence=made(line="KEPT.append(h); h = h + KEPT[0]"))
    Recording(keeping)
    with pytest.raises(StepError, match=f"line {LINE} of cell.py: a step uses an array of an earlier call"):
        Recording(keeping)


@pytest.mark.parametrize(
    "line",
    [
        "h = xp.where(h > 0, h, 0.1 * h)",
        "h = xp.where(0 < h, h, 0)",
        "h = xp.where((h > -1) & ~(h > 1) | (h == 0), h, 0 * h)",
        "h = h * xp.where(h[:, :1] >= 0, 1.0, 0.0)",
        "h = h + w['W'][0]",
        "h = h ** 2",
        "H = h.shape[-1]; h = h / H if len(h) == 3 else h",
    ],
)
def test_what_is_followed(drawn, line):
    """Comparisons under ``xp.where``, and decisions by sizes alone, are followed to the same numbers."""
    problem = replace(drawn(made()), recurrence=made(line=line))
    outputs, _ = problem.forward(Loop(xp))
    np.testing.assert_allclose(Recording(problem).value, np.stack(outputs, 1), rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("B H", r"cell: weights\['W'\] has B, the batch, which is never written"),
        ("T", r"cell: weights\['W'\] has T, the time, which is never written"),
        ("H*4", r"cell: weights\['W'\] has 'H\*4', but should have letters, numbers or products such as 4\*H"),
    ],
)
def test_shapes(shape, message):
    with pytest.raises(DeclarationError, match=message):
        made(weights=f'{{"W": "{shape}"}}')


def test_a_weight_with_the_name_of_an_initial_state():
    with pytest.raises(DeclarationError, match="cell: weight 'h0' has the name of an initial state; rename it"):
        made(weights='{"h0": "H"}')


def test_a_step_with_other_arguments():
    with pytest.raises(DeclarationError, match=r"cell takes \(xp, w, x\), but should take \(xp, w, x, s\)"):

        @recurrence(weights={}, inputs={"x": "I"}, state={})
        def cell(xp, w, x): ...
