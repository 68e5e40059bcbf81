"""Gradients without a backward pass, by complex steps: many directions at once through a recording.

Each operation is applied anew to complex numbers with an imaginary part of a direction times 1e-100, where
``harness.derive.imaginary`` hands imaginary parts on alone.

Sequences do not affect each other, so an element of an input or initial state is moved in all sequences at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from harness.derive.imaginary import Ends
from harness.derive.operations import STEPS
from harness.derive.recording import Graph
from harness.derive.reverse import named
from harness.derive.tape import Node

MOST_NUMBERS = 2**22
"""Maximum of numbers that the directions of one chunk may take for the widest node."""

Moved = dict[int, ndarray]
"""For each node that a direction reaches, its complex values or their imaginary parts, (R, …)."""


def complex_step(graph: Graph, ends: Ends) -> dict[str, ndarray]:
    """Return every gradient, by complex steps.

    Args:
        graph: a recurrence or a network on a tape.
        ends: the nodes that the loss reads, each with the gradient of the loss by it.
    """
    adjoint: dict[int, ndarray] = {}
    dtype, B, ends = graph.tape.nodes[0].dtype, len(graph.outputs[0].value), list(ends)
    size = dtype.type(STEPS[dtype])
    chunk = max(1, MOST_NUMBERS // max(node.value.size for node in graph.tape.nodes))
    for node, shared in _starts(graph):
        shape = node.shape if shared else node.shape[1:]
        elements = int(np.prod(shape, dtype=np.intp))
        found = np.empty((elements,) if shared else (B, elements), dtype)
        for at in np.split(np.arange(elements), range(chunk, elements, chunk)):
            one = np.zeros((len(at), elements), dtype)
            one[np.arange(len(at)), at] = size
            one = one.reshape(len(at), *shape)  # (R, …)
            if not shared:
                one = np.broadcast_to(one[:, None], (len(at), B, *shape))  # (R, B, …)
            moved = _imaginary(graph, node, one)
            change = _losses(ends, moved, np.zeros((len(at), B), dtype)) / size  # (R, B)
            if shared:
                found[at] = change.sum(1)
            else:
                found[:, at] = change.T
        adjoint[node.index] = found.reshape(node.shape)
    return named(graph, adjoint)


def _imaginary(graph: Graph, start: Node, directions: ndarray) -> Moved:
    """Return the imaginary parts of every reached node."""
    moved = {start.index: start.value + 1j * directions}
    for node in graph.tape.nodes[start.index + 1 :]:
        leads = [parent.index in moved for parent in node.parents]
        if any(leads):
            assert node.operation is not None
            values = [moved.get(each.index, each.value) for each in node.parents]
            moved[node.index] = node.operation.apply(values, leads)
    return {index: values.imag for index, values in moved.items()}


def _starts(graph: Graph) -> Iterator[tuple[Node, bool]]:
    """Yield the nodes with a gradient, and whether all sequences share their elements."""
    for name, source in graph.sources.items():
        for node in source if isinstance(source, list) else [source]:
            yield node, name in graph.shared


def _losses(ends: Ends, moved: Moved, change: ndarray) -> ndarray:
    """Add up the change of each sequence's part of the loss, into (R, B)."""
    for node, g in ends:
        if node.index in moved:
            change += (moved[node.index] * g).reshape(*change.shape, -1).sum(-1)
    return change
