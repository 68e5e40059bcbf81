"""The reverse pass that follows from a recorded step: each operation contributes its gradient to its operands."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy import ndarray

from harness.derive.recording import Graph, Recording, Sequences
from harness.derive.tape import Node, Tape

Contribution = Callable[[Node, int, ndarray], ndarray]
"""A function from a node, the position of an operand and the node's gradient to the contribution to the operand."""


def contribution(node: Node, k: int, g: ndarray) -> ndarray:
    """Return the right contribution of a node to its operand k, (…), or (R, …) for R gradients at once."""
    assert node.operation is not None
    return node.operation.pull([each.value for each in node.parents], k, g)


def gradients(
    recording: Recording,
    problem: Sequences,
    contributed: Contribution = contribution,
    summed: Callable[[ndarray, ndarray], ndarray] = operator.add,
) -> dict[str, ndarray]:
    """Return every gradient of the loss, by name.

    Args:
        recording: the problem on a tape.
        problem: the problem, with its upstream gradients.
        contributed: the contributions; a wrong function breaks a rule on purpose.
        summed: the sum of two contributions to one node.
    """
    return backward(recording, recording.ends(problem), contributed, summed)


def backward(
    graph: Graph,
    ends: Iterable[tuple[Node, ndarray]],
    contributed: Contribution = contribution,
    summed: Callable[[ndarray, ndarray], ndarray] = operator.add,
) -> dict[str, ndarray]:
    """Return every gradient, by name.

    Args:
        graph: a recurrence or a network on a tape.
        ends: the nodes that the pass begins with, each with the gradient of the loss by it.
        contributed: the contributions; a wrong function breaks a rule on purpose.
        summed: the sum of two contributions to one node.
    """
    return named(graph, adjoints(graph.tape, ends, contributed, summed))


def adjoints(
    tape: Tape,
    ends: Iterable[tuple[Node, ndarray]],
    contributed: Contribution = contribution,
    summed: Callable[[ndarray, ndarray], ndarray] = operator.add,
) -> dict[int, ndarray]:
    """Return the gradient of every node that one arrives at, by its position on the tape.

    Args:
        tape: the tape.
        ends: nodes, and the gradient by each.
        contributed: the contributions.
        summed: the sum of two contributions to one node.
    """
    adjoint: dict[int, ndarray] = {}

    def add(node: Node, g: ndarray) -> None:
        adjoint[node.index] = summed(adjoint[node.index], g) if node.index in adjoint else g

    for node, g in ends:
        add(node, g)
    for node in reversed(tape.nodes):
        if node.index in adjoint:
            for k, parent in enumerate(node.parents):
                if parent.operation is not None or parent.name:
                    add(parent, contributed(node, k, adjoint[node.index]))
    return adjoint


def named(graph: Graph, adjoint: Mapping[int, ndarray]) -> dict[str, ndarray]:
    """Return gradients by name from those of nodes; zero where no gradient arrived."""

    def of(node: Node) -> ndarray:
        return np.array(adjoint[node.index]) if node.index in adjoint else np.zeros_like(node.value)

    return {
        name: np.stack([of(each) for each in source], 1) if isinstance(source, list) else of(source)
        for name, source in graph.sources.items()
    }
