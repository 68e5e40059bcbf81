"""Inputs that are held fixed: masks, and the resets between sequences that are packed along time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import harness
from harness.case.recurrent import Draw
from harness.derive.guards import consistent
from harness.derive.recording import Recording
from harness.derive.reverse import gradients
from harness.derive.stepping import StepError
from harness.problem.configurations import configurations
from harness.problem.recurrent import problem_of
from harness.recurrences import DeclarationError, recurrences

WEIGHTS = {"W": "I H", "U": "H H"}
INPUTS = {"x": "I", "reset": "", "mask": "H"}


def declared(step, **options):
    given = {"weights": WEIGHTS, "inputs": INPUTS, "state": {"h": "H"}, "context": {"drop": "I"}}
    return harness.recurrence(**{**given, "masks": ("mask", "drop"), "resets": "reset", **options})(step)


@declared
def packed(xp, w, x, s):
    """A plain cell with dropout of its inputs and of its candidates, over packed sequences."""
    before = (1 - x["reset"])[:, None] * s["h"]
    h = before + x["mask"] * xp.tanh((x["drop"] * x["x"]) @ w["W"] + before @ w["U"])
    return {"h": h}, h


def by_where(xp, w, x, s):
    before = xp.where(x["reset"][:, None] > 0, 0 * s["h"], s["h"])
    h = before + x["mask"] * xp.tanh(x["x"] @ w["W"] + before @ w["U"])
    return {"h": h}, h * x["drop"][:, :1]


HELD = {"inputs.reset", "inputs.mask", "inputs.drop"}
ROUTES = [
    "derived",
    "complex-step",
    "forward-mode",
    "certified",
    pytest.param("torch-cell", marks=pytest.mark.framework("torch")),
    pytest.param("jax", marks=pytest.mark.framework("jax")),
    pytest.param("tensorflow", marks=pytest.mark.framework("tensorflow")),
]


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_has_a_gradient_of_them(route):
    problem = packed.problem()
    found = harness.run(route, problem)
    assert {"inputs.x", "W", "U", "h0"} <= found.gradients.keys()
    assert not found.gradients.keys() & HELD
    assert harness.compare(found, harness.run("derived", problem)).matches


@pytest.mark.parametrize("step", [packed, declared(by_where)], ids=["a factor", "xp.where"])
def test_a_right_step_is_consistent(step):
    for seed in range(4):
        for sizes in ({}, {"T": 1}, {"B": 1, "T": 2}, {"B": 5, "T": 9}):
            consistent(step.problem(seed=seed, **sizes).sequences)


def test_they_are_zeros_and_ones():
    for case in configurations(packed):
        problem = problem_of(packed, Draw(**case.recurrence["draw"]), case.recurrence["sizes"])
        for name in ("reset", "mask", "drop"):
            assert set(np.unique(problem.inputs[name])) <= {0, 1}, name
            assert problem.inputs[name].dtype == case.dtype
    assert set(np.unique(packed.problem().inputs["mask"])) == {0, 1}
    masks = packed.problem(B=1, T=7).inputs["mask"][0]
    assert len({mask.tobytes() for mask in masks}) > 1  # no two steps need have the same


@pytest.mark.parametrize("T", [2, 3, 7, 65])
def test_some_sequences_are_packed_and_some_are_not(T):
    resets = packed.problem(B=3, T=T).inputs["reset"]
    assert resets.shape == (3, T)
    inner = resets[:, 1:].sum(1)
    assert inner[0] == 1
    assert inner[1] == 0
    assert inner[2] == min(2, T - 1)
    assert resets[:, 0].tolist() == [0, 0, 1]  # the last one does not read its initial state
    assert packed.problem(B=1, T=T).inputs["reset"].sum() == 1
    assert packed.problem(B=1, T=1).inputs["reset"].sum() == 0


def separate(problem):
    """Return the gradients of a packed problem of one sequence, by those of each sequence in it."""
    whole = problem.sequences
    resets = problem.inputs[whole.recurrence.resets]
    starts = [0, *(t for t in range(1, whole.steps) if resets[0, t])]
    found = {}
    for start, end in zip(starts, [*starts[1:], whole.steps], strict=True):
        moving = {name: whole.inputs[name][:, start:end] for name in whole.moving}
        moving[whole.recurrence.resets] = 0 * moving[whole.recurrence.resets]
        is_first, is_last = start == 0 and not resets[0, 0], end == whole.steps
        part = replace(
            whole,
            inputs={**whole.context, **moving},
            initial_state=whole.initial_state if is_first else {n: 0 * v for n, v in whole.initial_state.items()},
            upstream=whole.upstream[:, start:end],
            upstream_state={name: g if is_last else 0 * g for name, g in whole.upstream_state.items()},
        )
        for name, g in gradients(Recording(part), part).items():
            if name.removeprefix("inputs.") in whole.recurrence.inputs:
                found.setdefault(name, []).append(g)
            elif name.removesuffix("0") in whole.recurrence.state:
                found.setdefault(name, g if is_first else 0 * g)
            else:
                found[name] = found.get(name, 0) + g
    return {name: np.concatenate(g, 1) if isinstance(g, list) else g for name, g in found.items()}


WITH_RESETS = [packed, *(each for each in recurrences().values() if each.resets)]


@pytest.mark.parametrize("recurrence", WITH_RESETS, ids=lambda each: each.name)
@pytest.mark.parametrize("seed", range(3))
def test_the_gradients_of_packed_sequences_are_those_of_each_by_itself(recurrence, seed):
    problem = recurrence.problem(seed=seed, B=1, T=9)
    resets = np.zeros((1, 9))
    resets[0, [[4], [0, 3], [1, 2, 8]][seed]] = 1
    problem = replace(problem, inputs={**problem.inputs, recurrence.resets: resets})
    found, expected = harness.run("derived", problem).gradients, separate(problem)
    assert {name for name in found if not name.startswith("last.")} == expected.keys()
    for name, g in expected.items():
        np.testing.assert_allclose(found[name], g, rtol=1e-11, atol=1e-13 * np.abs(g).max(), err_msg=name)


def ignoring(xp, w, x, s):
    h = xp.tanh(x["x"] @ w["W"] + s["h"] @ w["U"])
    return {"h": h}, h


def after_the_step(xp, w, x, s):
    h = xp.tanh(x["x"] @ w["W"] + s["h"] @ w["U"])
    return {"h": (1 - x["reset"])[:, None] * h}, h


def in_part(xp, w, x, s):
    h = s["h"] + xp.tanh(x["x"] @ w["W"] + (1 - x["reset"])[:, None] * s["h"] @ w["U"])
    return {"h": h}, h


def inverted(xp, w, x, s):
    h = xp.tanh(x["x"] @ w["W"] + x["reset"][:, None] * s["h"] @ w["U"])
    return {"h": h}, h


@pytest.mark.parametrize("step", [ignoring, after_the_step, in_part, inverted])
def test_a_step_that_lets_sequences_touch_is_refused(step):
    text = r"sequences packed into sequence \d differ .*; before a step where reset is 1, every state should count as"
    with pytest.raises(StepError, match=text):
        consistent(declared(step).problem().sequences)


def right(problem):
    return dict(harness.run("derived", problem).gradients)


def of_other(problem, **inputs):
    return right(replace(problem, inputs={**problem.inputs, **inputs}))


def reset_lost(problem):
    """mamba 746: the backward pass carries a gradient over the border of packed sequences."""
    return right(problem) | {"inputs.x": of_other(problem, reset=0 * problem.inputs["reset"])["inputs.x"]}


def mask_of_the_first_step(problem):
    """haste 43: the backward pass takes the mask of the first step at every step."""
    first = np.repeat(problem.inputs["mask"][:, :1], problem.inputs["mask"].shape[1], 1)
    return right(problem) | {"W": of_other(problem, mask=first)["W"]}


def mask_lost(problem):
    """pytorch 190056: the backward pass leaves the mask out."""
    return right(problem) | {"W": of_other(problem, mask=np.ones_like(problem.inputs["mask"]))["W"]}


@pytest.mark.parametrize("fault", [reset_lost, mask_of_the_first_step, mask_lost])
def test_a_fault_that_shipped_is_caught(fault):
    with pytest.raises(AssertionError, match="outside the tolerance"):
        harness.assert_gradients_match(fault, packed)


def test_a_complete_answer_has_no_gradient_of_them():
    harness.assert_gradients_match(right, packed, require_all=True)
    with pytest.raises(AssertionError, match=r"returned 'inputs\.mask', but mask is held fixed and has no"):
        harness.assert_gradients_match(lambda p: {**right(p), "inputs.mask": 0 * p.inputs["mask"]}, packed)


DECLARED = {
    "no input": ({"resets": "rezet"}, r"cell: resets is 'rezet', which is no input; did you mean 'reset'\?"),
    "a weight": ({"masks": ("W",)}, "cell: masks has 'W', which is not declared; there are x, reset, mask or drop"),
    "a reset for each unit": ({"resets": "mask"}, r"cell: inputs\['mask'\] is 'H', but resets are a number for each"),
}


@pytest.mark.parametrize("mistake", DECLARED)
def test_a_wrong_declaration(mistake):
    options, text = DECLARED[mistake]

    def cell(xp, w, x, s): ...

    with pytest.raises(DeclarationError, match=text):
        declared(cell, **options)
