"""The derived pass of a long sequence, in segments of about √T steps: the memory of a segment and of √T states.

The steps run once, and the state before each segment is kept. On the way back each segment is recorded anew from its
state, and hands the gradient of that state on to the segment before. (Chen, Xu, Zhang and Guestrin 2016, "Training Deep
Nets with Sublinear Memory Cost".)

A pass of this length is checked by its directional derivatives, from the forward pass alone: all arrays move along a
random direction d by an imaginary step, and the change of the loss should be ⟨g, d⟩.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy import ndarray

from harness.derive.operations import STEPS
from harness.derive.recording import Recording, Sequences
from harness.derive.reverse import Contribution, contribution, gradients
from harness.derive.tape import Node, Perturbation

Begin = Callable[[int], None]
"""A function that is called with the number of a segment before it is recorded; a perturbation begins anew there."""

Changes = Mapping[str, ndarray]
"""The imaginary parts of some arrays, in units of the step, by the names of their gradients."""


def by_segments(
    problem: Sequences,
    perturbed: Perturbation | None = None,
    contributed: Contribution = contribution,
    summed: Callable[[ndarray, ndarray], ndarray] = operator.add,
    begin: Begin = lambda _: None,
) -> dict[str, ndarray]:
    """Return loss, outputs, last states and every gradient, by name.

    Args:
        problem: the problem.
        perturbed: the change of each value; None for none.
        contributed: the contributions of operations.
        summed: the sum of two contributions.
        begin: called before each recording of a segment.
    """
    bounds = _bounds(problem.steps)
    befores: list[Sequences] = []
    outputs: list[ndarray] = []
    state, absent = problem.initial_state, problem.absent
    for n, (first, last) in enumerate(bounds):
        befores.append(replace(_part(problem, first, last), initial_state=state, absent=absent))
        begin(n)
        recording = Recording(befores[-1], perturbed)
        outputs.append(recording.value)
        state, absent = {name: node.value for name, node in recording.last.items()}, frozenset()
    whole = np.concatenate(outputs, 1)  # (B, T, …)
    loss = (whole * problem.upstream).sum() + sum((g * state[name]).sum() for name, g in problem.upstream_state.items())
    found = {"loss": np.asarray(loss), "outputs": whole, **{f"last.{name}": each for name, each in state.items()}}
    upstream_state = problem.upstream_state
    pieces: dict[str, list[ndarray]] = {}
    for n in reversed(range(len(bounds))):
        begin(n)
        segment = replace(befores.pop(), upstream_state=upstream_state)
        of_segment = gradients(Recording(segment, perturbed), segment, contributed, summed)
        for name, g in of_segment.items():
            if name.removeprefix("inputs.") in problem.moving and name.startswith("inputs."):
                pieces.setdefault(name, []).insert(0, g)
            elif name.removesuffix("0") in problem.recurrence.state and name not in problem.recurrence.weights:
                found[name] = g  # that of the first segment comes last
            else:
                found[name] = summed(found[name], g) if name in found else g
        upstream_state = {name: of_segment.get(f"{name}0", g) for name, g in upstream_state.items()}
    joined = {name: np.concatenate(each, 1) for name, each in pieces.items()}
    return {name: each for name, each in {**found, **joined}.items() if name not in problem.constant}


def derivative_along(problem: Sequences, directions: Changes) -> float:
    """Return the derivative of the loss along a direction, by an imaginary step through the forward pass.

    Args:
        problem: the problem.
        directions: the direction of each array, by the name of its gradient.
    """
    state, absent, change = problem.initial_state, problem.absent, 0.0
    moving: Changes = {name: directions[f"{name}0"] for name in problem.recurrence.state if f"{name}0" in directions}
    for first, last in _bounds(problem.steps):
        segment = replace(_part(problem, first, last), initial_state=state, absent=absent)
        recording = Recording(segment)
        moved = _imaginary(recording, _starts(recording, directions, moving, slice(first, last)))
        for t, node in enumerate(recording.outputs):
            change += float((moved.get(node.index, 0.0) * segment.upstream[:, t]).sum())
        state = {name: node.value for name, node in recording.last.items()}
        absent = frozenset()
        moving = {name: moved[node.index] for name, node in recording.last.items() if node.index in moved}
    return change + sum(float((each * problem.upstream_state[name]).sum()) for name, each in moving.items())


def _part(problem: Sequences, first: int, last: int) -> Sequences:
    inputs = {name: problem.inputs[name][:, first:last] for name in problem.moving}
    return replace(problem, inputs={**problem.inputs, **inputs}, upstream=problem.upstream[:, first:last])


def _bounds(steps: int) -> list[tuple[int, int]]:
    length = math.isqrt(steps - 1) + 1
    return [(first, min(first + length, steps)) for first in range(0, steps, length)]


def _starts(recording: Recording, directions: Changes, moving: Changes, steps: slice) -> dict[int, ndarray]:
    """Return the imaginary parts of the arguments of a segment, by node."""
    found = {recording.initial_state[name].index: each for name, each in moving.items()}
    for name, source in recording.sources.items():
        if isinstance(source, list):
            if name in directions:
                found |= {node.index: directions[name][:, steps][:, t] for t, node in enumerate(source)}
        elif source.index not in {node.index for node in recording.initial_state.values()} and name in directions:
            found[source.index] = directions[name]
    return found


def _imaginary(recording: Recording, starts: Mapping[int, ndarray]) -> dict[int, ndarray]:
    """Return the imaginary part of every node that a change reaches, in units of the step."""
    h = STEPS[recording.tape.nodes[0].dtype]
    moved: dict[int, ndarray] = {}
    for node in recording.tape.nodes:
        if node.index in starts:
            moved[node.index] = starts[node.index]
        elif node.operation is not None and any(parent.index in moved for parent in node.parents):
            values = [_complex(parent, moved, h) for parent in node.parents]
            moved[node.index] = np.imag(node.operation.apply(values, [False] * len(values))) / h
    return moved


def _complex(node: Node, moved: Mapping[int, ndarray], h: float) -> ndarray:
    return node.value + 1j * h * moved[node.index] if node.index in moved else node.value
