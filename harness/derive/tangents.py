"""Gradients without a backward pass: many directions at once through a recorded step.

The two routes: ``forward_mode`` pushes tangents through each operation. ``complex_step`` applies each operation anew to
complex numbers with an imaginary part of a direction times 1e-100, and takes no derivative.

Sequences do not affect each other, so an element of an input or initial state is moved in all sequences at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy import ndarray

from harness.derive.operations import STEPS
from harness.derive.recording import Recording, Sequences
from harness.derive.reverse import named
from harness.derive.tape import Node

MOST_NUMBERS = 2**22
"""Maximum of numbers that the directions of one chunk may take for the widest node."""

Moved = dict[int, ndarray]
"""For each node that a direction reaches, its tangents or its complex values, (R, …)."""


def forward_mode(recording: Recording, problem: Sequences) -> dict[str, ndarray]:
    """Return every gradient, by tangents."""
    return _by_directions(recording, problem, _tangents, 1.0)


def complex_step(recording: Recording, problem: Sequences, most: int | None = None) -> dict[str, ndarray]:
    """Return every gradient, by complex steps.

    Args:
        recording: the problem on a tape.
        problem: the problem.
        most: the maximum number of elements of each array, drawn at random; NaN stands for the others. None for all.
    """
    return _by_directions(recording, problem, _imaginary, STEPS[recording.tape.nodes[0].dtype], most)


def _tangents(recording: Recording, start: Node, directions: ndarray) -> Moved:
    """Return the tangents of every reached node."""
    moved = {start.index: directions}
    for node in recording.tape.nodes[start.index + 1 :]:
        reached = [k for k, parent in enumerate(node.parents) if parent.index in moved]
        if reached:
            assert node.operation is not None
            values = [each.value for each in node.parents]
            pushed = [node.operation.push(values, k, moved[node.parents[k].index]) for k in reached]
            moved[node.index] = sum(pushed[1:], pushed[0])
    return moved


def _imaginary(recording: Recording, start: Node, directions: ndarray) -> Moved:
    """Return the imaginary parts of every reached node."""
    moved = {start.index: start.value + 1j * directions}
    for node in recording.tape.nodes[start.index + 1 :]:
        leads = [parent.index in moved for parent in node.parents]
        if any(leads):
            assert node.operation is not None
            values = [moved.get(each.index, each.value) for each in node.parents]
            moved[node.index] = node.operation.apply(values, leads)
    return {index: values.imag for index, values in moved.items()}


def _by_directions(
    recording: Recording,
    problem: Sequences,
    move: Callable[[Recording, Node, ndarray], Moved],
    size: float,
    most: int | None = None,
) -> dict[str, ndarray]:
    adjoint: dict[int, ndarray] = {}
    dtype, B = recording.tape.nodes[0].dtype, problem.upstream.shape[0]
    chunk = max(1, MOST_NUMBERS // max(node.value.size for node in recording.tape.nodes))
    random = np.random.Generator(np.random.PCG64(0))
    for node, shared in _starts(recording, problem):
        shape = node.shape if shared else node.shape[1:]
        elements = int(np.prod(shape, dtype=np.intp))
        chosen = np.arange(elements)
        if most is not None and elements > most:
            chosen = np.sort(random.choice(elements, most, replace=False))
        found = np.full((elements,) if shared else (B, elements), np.nan, dtype)
        for at in np.split(chosen, range(chunk, len(chosen), chunk)):
            one = np.zeros((len(at), elements), dtype)
            one[np.arange(len(at)), at] = size
            one = one.reshape(len(at), *shape)  # (R, …)
            if not shared:
                one = np.broadcast_to(one[:, None], (len(at), B, *shape))  # (R, B, …)
            change = _losses(recording, problem, move(recording, node, one), len(at)) / dtype.type(size)  # (R, B)
            if shared:
                found[at] = change.sum(1)
            else:
                found[:, at] = change.T
        adjoint[node.index] = found.reshape(node.shape)
    return named(recording, adjoint)


def _starts(recording: Recording, problem: Sequences) -> Iterator[tuple[Node, bool]]:
    """Yield the nodes with a gradient, and whether all sequences share their elements."""
    for node in recording.weights.values():
        yield node, True
    for node in recording.initial_state.values():
        yield node, False
    for name, nodes in recording.inputs.items():
        for node in nodes if f"inputs.{name}" not in problem.constant else ():
            yield node, False


def _losses(recording: Recording, problem: Sequences, moved: Moved, R: int) -> ndarray:
    """Return the change of each sequence's part of the loss, (R, B)."""
    B = problem.upstream.shape[0]
    change = np.zeros((R, B), problem.upstream.dtype)
    ends = [(node, problem.upstream[:, t]) for t, node in enumerate(recording.outputs)]
    ends += [(node, problem.upstream_state[name]) for name, node in recording.last.items()]
    for node, g in ends:
        if node.index in moved:
            change += (moved[node.index] * g).reshape(R, B, -1).sum(-1)
    return change
