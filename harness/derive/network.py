"""A network around a step: layers, directions, lengths, truncation, readout and loss, once for every recurrence.

It runs in any namespace. Layer n reads the outputs of layer n − 1, both directions side by side, and every layer reads
the further inputs and the context. Past a sequence's end its state stays and its outputs are zero, also those of a
readout; a direction ``reverse`` begins at each sequence's own last step, since its state stays before that. The loss
covers some (sequence, step) pairs; others have no effect.
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
from harness.tensors import Structure
from reference_impls.losses import number_of_terms
from reference_impls.truncation import Truncation, passes

OUTER = ("readout", "loss")
"""The parts of a network around its layers, whose operations stand in this file."""

_RECURRENCES = {("rnn", ""): rnn, ("lstm", ""): lstm, ("gru", "after"): gru, ("gru", "before"): gru_before}


@dataclass(frozen=True)
class Architecture:
    """A network without its numbers.

    Attributes:
        structure: its tensors and sizes.
        step: the recurrence of every layer.
        activation: φ, by its name in case files.
        truncation: the truncation of the gradient; None for the full gradient.
        loss: the kind of the loss.
        reduction: the reduction of the loss, ``sum`` or ``mean``.
    """

    structure: Structure
    step: Recurrence
    activation: str
    truncation: Truncation | None
    loss: str
    reduction: str

    def weights_of(self, block: str, leaves: Mapping[str, Any]) -> dict[str, Any]:
        """Return the weights of one direction of a layer that are there, by the names that its step knows."""
        return {name: leaves[f"{block}.{name}"] for name in self.step.weights if f"{block}.{name}" in leaves}

    def initial_state(self, leaves: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the initial state of each direction of each layer, by the names that its step knows."""
        return {
            block: {name: leaves[f"{block}.{name}0"] for name in self.step.state} for block in self.structure.blocks
        }

    def inputs_of(self, declared: Mapping[str, str], leaves: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs, or the context, that are there, by the names that the step knows."""
        names = self.step.in_network
        return {name: leaves[names[name]] for name in declared if names[name] in leaves}

    def in_sequences(self, loop: Loop, leaves: Mapping[str, Any]) -> dict[str, Any]:
        """Return arrays by name, with the inputs of each step as sequences."""
        names = {self.step.in_network[name] for name in self.step.inputs}
        return {name: loop.over(each) if name in names else each for name, each in leaves.items()}


def recurrence_of(structure: Structure) -> Recurrence:
    """Return the recurrence of every layer of a network of rnn, lstm or gru."""
    return _RECURRENCES[structure.cell, structure.reset if structure.cell == "gru" else ""]


@dataclass(frozen=True, eq=False)
class NetworkArrays:
    """A network with its arrays.

    Attributes:
        network: the network.
        leaves: each weight, each initial state (B, …), each input (B, T, …) and context (B, …), by the names of their
            gradients, or the names that these would have.
        targets: (B, T, O), zero where the loss does not look; for labels true at the label and false elsewhere. O is
            the number of elements of an output.
        covered: the (sequence, step) pairs that have a loss, (B, T) of bool.
        valid: the (sequence, step) pairs that exist, (B, T) of bool; None for all.
        constant: the arrays without a gradient, by the name that it would have.
    """

    network: Architecture
    leaves: Mapping[str, Any]
    targets: Any
    covered: Any
    valid: Any
    constant: frozenset[str] = frozenset()

    @property
    def cell_step(self) -> Recurrence:
        """The recurrence of every layer."""
        return self.network.step

    @property
    def moving(self) -> frozenset[str]:
        """The inputs of each step that are there, by the names of their gradients."""
        names = self.network.step.in_network
        return frozenset(names[each] for each in self.network.step.inputs if names[each] in self.leaves)

    @property
    def first_step(self) -> NetworkArrays:
        """The same on the first step alone; if there are masks, its mask leaves the first of several sequences out."""
        B = len(self.covered)
        first = {name: self.leaves[name][:, :1] for name in self.moving}
        return replace(
            self,
            network=replace(self.network, structure=replace(self.network.structure, time=1), truncation=None),
            leaves={**self.leaves, **first},
            targets=self.targets[:, :1],
            covered=np.ones((B, 1), np.bool_),
            valid=None if self.valid is None or B == 1 else np.arange(B)[:, None] > 0,
        )

    @property
    def runs(self) -> int:
        """The number of steps that are run: those of a window anew for each of its losses."""
        T = self.network.structure.time
        return T * len(passes(self.network.truncation, T))

    def mapped(self, change: Callable[[str, Any], Any]) -> NetworkArrays:
        """Return the same with every array changed, by the name of its gradient."""
        return replace(self, leaves={name: change(name, array) for name, array in self.leaves.items()})

    def answers(self, loop: Loop) -> dict[str, Any]:
        """Return ``loss``, of shape (), and ``outputs``, (B, T, …), in the loop's namespace."""
        loop = loop.with_activation(self.network.activation)
        outputs = outputs_of(loop, self.network, self.network.in_sequences(loop, self.leaves), self.valid)
        return {"loss": loop.xp.sum(losses_of(loop, self, outputs)), "outputs": loop.whole(outputs)}


def outputs_of(loop: Loop, network: Architecture, leaves: Mapping[str, Any], valid: Any) -> Any:
    """Return the sequence of outputs.

    Args:
        loop: the loop, with the network's activation in its namespace.
        network: the network.
        leaves: by name, the inputs of each step as sequences.
        valid: the (sequence, step) pairs that exist, (B, T) of bool; None for all.
    """
    structure, xp = network.structure, loop.xp
    step, valid = network.step, None if valid is None else loop.masks(valid)
    moving, context = network.inputs_of(step.inputs, leaves), network.inputs_of(step.context, leaves)

    def run(first: int, last: int, states: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        given, ended = {name: sequence[first:last] for name, sequence in moving.items()}, dict(states)
        there, below = None if valid is None else valid[first:last], None
        for n in range(structure.layers):
            if n:
                given = {**given, str(step.fed): below}
            found = []
            for block in structure.blocks_of(n):
                fixed, span = Fixed(network.weights_of(block, leaves), context), Span(block, first, last)
                ended[block], h = direction(loop, step, fixed, ended[block], (given, there), span)
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
        if len(y.shape) != 2:  # the elements of an output in a row, (B, O)
            y = xp.reshape(y, (y.shape[0], -1))
        if there is None:
            return loss_of_rows(xp, network.loss, y, target)
        y = chosen(xp, there, y, 0.0)  # a number that is not finite must not reach the loss
        return chosen(xp, there, loss_of_rows(xp, network.loss, y, target), 0.0)

    span = Span("loss", 0, network.structure.time)
    masks = loop.masks(arrays.covered)
    total = loop.total(loop.map(loss, [outputs, loop.constants(arrays.targets), masks], span), span)
    if network.reduction == "sum":
        return total
    return total / number_of_terms(network.loss, arrays.covered.sum(), arrays.targets.shape[2])


def loss_and_slopes(arrays: NetworkArrays, outputs: ndarray) -> tuple[ndarray, ndarray]:
    """Return the loss, of shape (), and its gradient by outputs (B, T, …), by a complex step of each row's loss."""
    kind, covered, dtype = arrays.network.loss, arrays.covered, outputs.dtype
    targets = arrays.targets[covered]  # (N, O)
    rows = outputs[covered].reshape(targets.shape)  # (N, O)
    h, slopes = dtype.type(STEPS[dtype]), np.empty_like(rows)
    for o in range(rows.shape[1]):
        moved = rows + 1j * h * (np.arange(rows.shape[1]) == o)  # (N, O)
        slopes[:, o] = loss_of_rows(numpy.xp, kind, moved, targets).imag / h
    found = np.zeros_like(outputs)  # (B, T, …)
    terms = 1 if arrays.network.reduction == "sum" else number_of_terms(kind, *rows.shape)
    found[covered] = (slopes / terms).reshape(-1, *outputs.shape[2:])
    return loss_of_rows(numpy.xp, kind, rows, targets).sum() / dtype.type(terms), found


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
