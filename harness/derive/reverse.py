"""The reverse pass that follows from a recorded step: each operation contributes its gradient to its operands."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy import ndarray

from harness.derive.recording import Recording, Sequences
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
    ends = [(node, problem.upstream[:, t]) for t, node in enumerate(recording.outputs)]
    ends += [(node, problem.upstream_state[name]) for name, node in recording.last.items()]
    return named(recording, problem, adjoints(recording.tape, ends, contributed, summed))


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


def named(recording: Recording, problem: Sequences, adjoint: Mapping[int, ndarray]) -> dict[str, ndarray]:
    """Return gradients by name from those of nodes; zero where no gradient arrived."""

    def of(node: Node) -> ndarray:
        return np.array(adjoint[node.index]) if node.index in adjoint else np.zeros_like(node.value)

    found = {name: of(node) for name, node in recording.weights.items()}
    found |= {f"{name}0": of(node) for name, node in recording.initial_state.items()}
    for name, nodes in recording.inputs.items():
        if f"inputs.{name}" in problem.constant:
            continue
        is_context = name in problem.recurrence.context
        found[f"inputs.{name}"] = of(nodes[0]) if is_context else np.stack([of(node) for node in nodes], 1)
    return found
