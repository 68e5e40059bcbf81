"""A network around a step: layers, directions, lengths, truncation, readout and loss, once for every recurrence.

It runs in any namespace. Layer n reads the outputs of layer n − 1, both directions side by side. Past a sequence's end
its state stays and its outputs are zero, also those of a readout; a direction ``reverse`` begins at each sequence's own
last step, since its state stays before that. The loss covers some (sequence, step) pairs; others have no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy import ndarray

from harness.derive.namespaces import numpy
from harness.derive.operations import STEPS
from harness.derive.stepping import Fixed, Loop, Span, chosen, direction
from harness.derive.truncated import pieces
from harness.recurrences.base import Recurrence
from harness.recurrences.gru import gru, gru_before
from harness.recurrences.lstm import lstm
from harness.recurrences.rnn import rnn
from harness.tensors import STATES, Structure
from reference_impls.losses import number_of_terms
from reference_impls.truncation import Truncation

OUTER = ("readout", "loss")
"""The parts of a network around its layers, whose operations stand in this file."""

_RECURRENCES = {("rnn", ""): rnn, ("lstm", ""): lstm, ("gru", "after"): gru, ("gru", "before"): gru_before}


@dataclass(frozen=True)
class Architecture:
    """A network without its numbers.

    Attributes:
        structure: its tensors and sizes.
        activation: φ, by its name in case files.
        truncation: the truncation of the gradient; None for the full gradient.
        loss: the kind of the loss.
        reduction: the reduction of the loss, ``sum`` or ``mean``.
    """

    structure: Structure
    activation: str
    truncation: Truncation | None
    loss: str
    reduction: str

    @property
    def step(self) -> Recurrence:
        """The recurrence of every layer."""
        return recurrence_of(self.structure)

    def weights_of(self, block: str, leaves: Mapping[str, Any]) -> dict[str, Any]:
        """Return the weights of one direction of a layer, by the names that its step knows."""
        return {name: leaves[f"{block}.{name}"] for name in self.step.weights}

    def initial_state(self, leaves: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the initial state of each direction of each layer, by the names that its step knows."""
        names = STATES[self.structure.cell]
        return {
            block: {name.removesuffix("0"): leaves[f"{block}.{name}"] for name in names}
            for block in self.structure.blocks
        }


def recurrence_of(structure: Structure) -> Recurrence:
    """Return the recurrence of every layer of a network."""
    return _RECURRENCES[structure.cell, structure.reset if structure.cell == "gru" else ""]


@dataclass(frozen=True, eq=False)
class NetworkArrays:
    """A network with its arrays.

    Attributes:
        network: the network.
        leaves: each weight, each initial state (B, H) and ``inputs`` (B, T, I), by the names of their gradients.
        targets: (B, T, O), zero where the loss does not look; for labels true at the label and false elsewhere.
        covered: the (sequence, step) pairs that have a loss, (B, T) of bool.
        valid: the (sequence, step) pairs that exist, (B, T) of bool; None for all.
    """

    network: Architecture
    leaves: Mapping[str, Any]
    targets: Any
    covered: Any
    valid: Any

    @property
    def constant(self) -> frozenset[str]:
        """The arrays without a gradient: none."""
        return frozenset()

    def mapped(self, change: Callable[[str, Any], Any]) -> NetworkArrays:
        """Return the same with every array changed, by the name of its gradient."""
        return replace(self, leaves={name: change(name, array) for name, array in self.leaves.items()})

    def answers(self, loop: Loop) -> dict[str, Any]:
        """Return ``loss``, of shape (), and ``outputs``, (B, T, O), in the loop's namespace."""
        loop = loop.with_activation(self.network.activation)
        leaves = {**self.leaves, "inputs": loop.over(self.leaves["inputs"])}
        outputs = outputs_of(loop, self.network, leaves, self.valid)
        return {"loss": loop.xp.sum(losses_of(loop, self, outputs)), "outputs": loop.whole(outputs)}


def outputs_of(loop: Loop, network: Architecture, leaves: Mapping[str, Any], valid: Any) -> Any:
    """Return the sequence of outputs.

    Args:
        loop: the loop, with the network's activation in its namespace.
        network: the network.
        leaves: by name, ``inputs`` as a sequence.
        valid: the (sequence, step) pairs that exist, (B, T) of bool; None for all.
    """
    structure, xp = network.structure, loop.xp
    valid = None if valid is None else loop.masks(valid)

    def run(first: int, last: int, states: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        below, ended = leaves["inputs"][first:last], dict(states)
        there = None if valid is None else valid[first:last]
        for n in range(structure.layers):
            found = []
            for block in structure.blocks_of(n):
                fixed, span = Fixed(network.weights_of(block, leaves), {}), Span(block, first, last)
                given = {"x": below}, there
                ended[block], h = direction(loop, network.step, fixed, ended[block], given, span)
                found.append(h)  # (B, H) at each step
            below = found[0]
            if len(found) > 1:  # (B, 2H) at each step
                below = loop.map(lambda *both: xp.concat(both, -1), found, Span(f"layer{n}", first, last))
        return below, ended

    def constant(states: dict[str, Any]) -> dict[str, Any]:
        return {block: loop.constant(state) for block, state in states.items()}

    T, initial = structure.time, network.initial_state(leaves)
    outputs = loop.joined(pieces(network.truncation, T, initial, run, constant, lambda sequence: sequence[-1:]))
    if structure.output is None:
        return outputs
    W, b = leaves["readout.W_hy"], leaves["readout.b_y"]

    def read(h: Any, there: Any = None) -> Any:
        y = h @ W + b  # (B, O)
        if there is False:
            return xp.zeros_like(y)
        return y if there is None else chosen(xp, there, y, 0.0)

    return loop.map(read, [outputs] if valid is None else [outputs, valid], Span("readout", 0, T))


def losses_of(loop: Loop, arrays: NetworkArrays, outputs: Any) -> Any:
    """Return each sequence's part of the loss, (B,), of a sequence of outputs."""
    network, xp = arrays.network, loop.xp

    def loss(y: Any, target: Any, there: Any) -> Any:
        if there is False:
            return None
        if there is None:
            return loss_of_rows(xp, network.loss, y, target)
        y = chosen(xp, there, y, 0.0)  # a number that is not finite must not reach the loss
        return chosen(xp, there, loss_of_rows(xp, network.loss, y, target), 0.0)

    span = Span("loss", 0, network.structure.time)
    masks = loop.masks(arrays.covered)
    total = loop.total(loop.map(loss, [outputs, loop.constants(arrays.targets), masks], span), span)
    if network.reduction == "sum":
        return total
    return total / number_of_terms(network.loss, arrays.covered.sum(), network.structure.outputs[2])


def slopes_of_loss(arrays: NetworkArrays, outputs: ndarray) -> ndarray:
    """Return the gradient of the loss by outputs (B, T, O), of their shape, by a complex step of each row's loss."""
    kind, covered, dtype = arrays.network.loss, arrays.covered, outputs.dtype
    rows, targets = outputs[covered], arrays.targets[covered]  # (N, O) each
    h, slopes = dtype.type(STEPS[dtype]), np.empty_like(rows)
    for o in range(rows.shape[1]):
        moved = rows + 1j * h * (np.arange(rows.shape[1]) == o)  # (N, O)
        slopes[:, o] = loss_of_rows(numpy.xp, kind, moved, targets).imag / h
    found = np.zeros_like(outputs)  # (B, T, O)
    found[covered] = slopes / (1 if arrays.network.reduction == "sum" else number_of_terms(kind, *rows.shape))
    return found


def loss_of_rows(xp: Any, kind: str, y: Any, target: Any) -> Any:
    """Return the loss of each row, (…), of outputs (…, O) against targets (…, O), or labels as bool (…, O)."""
    match kind:
        case "squared_error":
            error = y - target
            return xp.sum(error * error, -1)
        case "softmax_cross_entropy":
            return -xp.sum(xp.where(target, xp.log_softmax(y), 0.0), -1)
        case "dot":
            return xp.sum(y * target, -1)
    raise ValueError(f"there is no loss {kind!r}")
