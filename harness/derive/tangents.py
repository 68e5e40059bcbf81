"""Gradients without a backward pass: many directions at once through a recorded step.

The two routes: ``forward_mode`` hands tangents on through each operation (``harness.derive.imaginary``).
``complex_step`` applies each operation anew to complex numbers with an imaginary part of a direction times 1e-100.

Sequences do not affect each other, so an element of an input or initial state is moved in all sequences at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from harness.derive.imaginary import all_elements, by_imaginary_parts
from harness.derive.operations import STEPS
from harness.derive.recording import Recording, Sequences
from harness.derive.reverse import named
from harness.derive.tape import Node

MOST_NUMBERS = 2**22
"""Maximum of numbers that the directions of one chunk may take for the widest node."""

Moved = dict[int, ndarray]
"""For each node that a direction reaches, its complex values or their imaginary parts, (R, …)."""


def forward_mode(recording: Recording, problem: Sequences) -> dict[str, ndarray]:
    """Return every gradient, by tangents."""
    return by_imaginary_parts(recording, recording.ends(problem), all_elements(recording))


def complex_step(recording: Recording, problem: Sequences, most: int | None = None) -> dict[str, ndarray]:
    """Return every gradient, by complex steps.

    Args:
        recording: the problem on a tape.
        problem: the problem.
        most: the maximum number of elements of each array, drawn at random; NaN stands for the others. None for all.
    """
    adjoint: dict[int, ndarray] = {}
    dtype, B = recording.tape.nodes[0].dtype, problem.upstream.shape[0]
    size = dtype.type(STEPS[dtype])
    chunk = max(1, MOST_NUMBERS // max(node.value.size for node in recording.tape.nodes))
    random = np.random.Generator(np.random.PCG64(0))
    for node, shared in _starts(recording):
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
            change = _losses(recording, problem, _imaginary(recording, node, one), len(at)) / size  # (R, B)
            if shared:
                found[at] = change.sum(1)
            else:
                found[:, at] = change.T
        adjoint[node.index] = found.reshape(node.shape)
    return named(recording, adjoint)


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


def _starts(recording: Recording) -> Iterator[tuple[Node, bool]]:
    """Yield the nodes with a gradient, and whether all sequences share their elements."""
    for name, source in recording.sources.items():
        for node in source if isinstance(source, list) else [source]:
            yield node, name in recording.shared


def _losses(recording: Recording, problem: Sequences, moved: Moved, R: int) -> ndarray:
    """Return the change of each sequence's part of the loss, (R, B)."""
    B = problem.upstream.shape[0]
    change = np.zeros((R, B), problem.upstream.dtype)
    for node, g in recording.ends(problem):
        if node.index in moved:
            change += (moved[node.index] * g).reshape(R, B, -1).sum(-1)
    return change
