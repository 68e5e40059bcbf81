"""The canonical tensors of a recurrent network: their names and shapes.

Everything else uses these names. The batch comes first; B batch, T time, I input, H hidden, O output, G gates,
D directions:

    inputs                       (B, T, I)
    outputs                      (B, T, D·H), or (B, T, O) with a readout
    layerN.W_xh                  (I, G·H), or (D·H, G·H) above the first layer; the input stands left: x W
    layerN.W_hh                  (H, G·H)
    layerN.b_h                   (G·H,)
    layerN.b_hn                  (H,), the candidate's recurrent bias, in a gru whose reset is after the product
    layerN.h0                    (B, H)
    layerN.c0                    (B, H), of an lstm
    layerN.reverse.W_xh, …       the same of the backward direction of a bidirectional layer, each of the same shape
    readout.W_hy, readout.b_y    (D·H, O), (O,)

The blocks of the gates stand side by side in the columns, in the order i, f, g, o (lstm) and r, z, n (gru).

A gradient has the name and the shape of the tensor that it is the gradient of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

Shape = tuple[int, ...]

GATE_NAMES = {"rnn": ("h",), "lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n")}
"""The cells, each with the gates whose blocks stand side by side in its weights."""

GATES = {cell: len(names) for cell, names in GATE_NAMES.items()}
"""The cells, each with the number of its gates."""

STATES = {"rnn": ("h0",), "lstm": ("h0", "c0"), "gru": ("h0",)}
"""The cells, each with the states that it carries from step to step."""


@dataclass(frozen=True)
class Structure:
    """The shape of a network, without its data.

    Attributes:
        cell: The cell, a key of ``GATES``.
        layers: The number of stacked recurrent layers.
        batch, time, input, hidden: The sizes B, T, I, H.
        output: O, or None without a readout.
        reset: For a gru, whether its reset gate multiplies the state ``before`` or ``after`` the recurrent product.
        directions: D, 2 if the layers are bidirectional.
    """

    cell: str
    layers: int
    batch: int
    time: int
    input: int
    hidden: int
    output: int | None
    reset: str = "after"
    directions: int = 1

    @property
    def has_recurrent_bias(self) -> bool:
        """True if the candidate has a recurrent bias of its own, ``b_hn``, that cannot be folded into ``b_h``."""
        return self.cell == "gru" and self.reset == "after"

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """The names of the recurrent blocks, from the inputs up; the weights of one are ``<block>.W_xh`` and so on.

        Each direction of a bidirectional layer is one block; the forward one comes first.
        """
        return tuple(block for n in range(self.layers) for block in self.blocks_of(n))

    def blocks_of(self, n: int) -> tuple[str, ...]:
        """Return the blocks of layer n: ``layer0``, and ``layer0.reverse`` if it is bidirectional."""
        return (f"layer{n}", f"layer{n}.reverse")[: self.directions]

    @property
    def state_width(self) -> int:
        """D·H, the width of a layer's output, which the layer above or the readout reads."""
        return self.directions * self.hidden

    def input_size(self, block: str) -> int:
        """Return the width of the input of ``block``: I for the first layer, D·H above it."""
        return self.input if block.partition(".")[0] == "layer0" else self.state_width

    @cached_property
    def weights(self) -> Mapping[str, Shape]:
        """The shape of every weight and bias, by name, layer by layer and the readout last."""
        G, H = GATES[self.cell], self.hidden
        shapes: dict[str, Shape] = {}
        for block in self.blocks:
            shapes[f"{block}.W_xh"] = (self.input_size(block), G * H)
            shapes[f"{block}.W_hh"] = (H, G * H)
            shapes[f"{block}.b_h"] = (G * H,)
            if self.has_recurrent_bias:
                shapes[f"{block}.b_hn"] = (H,)
        if self.output is not None:
            shapes["readout.W_hy"] = (self.state_width, self.output)
            shapes["readout.b_y"] = (self.output,)
        return shapes

    @cached_property
    def initial_state(self) -> Mapping[str, Shape]:
        """The shape of every initial state by name."""
        states = STATES[self.cell]
        return {f"{block}.{state}": (self.batch, self.hidden) for block in self.blocks for state in states}

    @property
    def inputs(self) -> Shape:
        """(B, T, I)."""
        return (self.batch, self.time, self.input)

    @property
    def outputs(self) -> Shape:
        """(B, T, D·H), or (B, T, O) with a readout."""
        return (self.batch, self.time, self.state_width if self.output is None else self.output)

    @property
    def multiplications(self) -> float:
        """Number of scalar multiplications in the matrix products of one forward and backward pass."""
        matrices = [shape for shape in self.weights.values() if len(shape) == 2]
        return 3.0 * self.batch * self.time * sum(rows * columns for rows, columns in matrices)

    @cached_property
    def given(self) -> Mapping[str, Shape]:
        """The shape of every initial state and input, by the name of its gradient: the same in every layout."""
        return {**self.initial_state, "inputs": self.inputs}

    @cached_property
    def held(self) -> Mapping[str, Shape]:
        """The shape of every input that is held fixed, by the name that its gradient would have; none of a network."""
        return {}

    @property
    def absent(self) -> Mapping[str, Shape]:
        """The shape of every state that is zeros because it is absent, by the name of its gradient; none here."""
        return {}

    @cached_property
    def gradients(self) -> Mapping[str, Shape]:
        """The shape of every gradient that a complete implementation returns, by name."""
        return {**self.weights, **self.given}

    @property
    def last_state(self) -> Mapping[str, Shape]:
        """The shape of every last state that an answer may hold, by name: none for a network."""
        return {}

    @property
    def tensors(self) -> Mapping[str, Shape]:
        """The shape of everything that an answer may hold, by name: loss, outputs, last states, gradients."""
        return {"loss": (), "outputs": self.outputs, **self.last_state, **self.gradients}


@dataclass(frozen=True)
class RecurrenceStructure(Structure):
    """The tensors of a recurrence, or of a network of one, whatever its data. It has no gates.

    A recurrence alone has 0 layers. The names in a network are those of ``Structure``, with the recurrence's own names
    for W_xh and so on, and ``inputs.NAME`` for the inputs that every layer reads.

    Attributes:
        shapes: the shape of each weight, of each initial state and input by the name of its gradient, of the outputs
            and of each last state, as pairs of a name and a shape.
    """

    shapes: tuple[tuple[str, tuple[tuple[str, Shape], ...]], ...] = ()

    def _shapes(self, kind: str) -> dict[str, Shape]:
        return dict(dict(self.shapes)[kind])

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """The names of the recurrent blocks of a network.

        Raises:
            TypeError: If the recurrence is alone, without layers.
        """
        if not self.layers:
            raise TypeError(f"the recurrence {self.cell} has no layers")
        return super().blocks

    @property
    def state_width(self) -> int:
        """The width of the last layer's output in a network, which the readout reads."""
        return self.outputs[-1] if self.output is None else self.weights["readout.W_hy"][0]

    @cached_property
    def weights(self) -> Mapping[str, Shape]:
        """The shape of every weight, by name."""
        return self._shapes("weights")

    @cached_property
    def initial_state(self) -> Mapping[str, Shape]:
        """The shape of every initial state by name."""
        return {name: shape for name, shape in self.given.items() if name.partition(".")[0] != "inputs"}

    @cached_property
    def given(self) -> Mapping[str, Shape]:
        """The shape of every initial state and input, by the name of its gradient."""
        return self._shapes("given")

    @property
    def absent(self) -> Mapping[str, Shape]:
        """The shape of every state of a network that is zeros because it is absent, by the name of its gradient."""
        return self._shapes("absent")

    @cached_property
    def held(self) -> Mapping[str, Shape]:
        """The shape of every mask and of the resets, by the name that its gradient would have."""
        return self._shapes("held")

    @property
    def outputs(self) -> Shape:
        """(B, T, …)."""
        return self._shapes("forward")["outputs"]

    @property
    def last_state(self) -> Mapping[str, Shape]:
        """The shape of every last state, by name."""
        return self._shapes("last_state")

    @property
    def multiplications(self) -> float:
        """About how many multiplications of numbers a pass takes: each element of each weight and state, each step."""
        elements = sum(int(np.prod(shape)) for shape in (*self.weights.values(), *self.last_state.values()))
        return 3.0 * self.batch * self.time * elements


def is_gradient(tensor: str) -> bool:
    """Return whether a name is that of a gradient, and not of the forward pass or of training."""
    forward = tensor in ("loss", "outputs", "directional") or tensor.startswith("last.")
    return not forward and kind_of(tensor) not in ("training.loss", "trained")


def kind_of(tensor: str) -> str:
    """Return the kind of a tensor by its name: ``W_hh`` for ``layer3.W_hh``, ``inputs`` for ``inputs``.

    The results of training have kinds of their own: ``training.loss``, and ``trained`` for every weight.
    """
    family, _, rest = tensor.partition(".")
    if family in ("training", "trained"):
        return family if family == "trained" else tensor
    return tensor if family in ("inputs", "last") else rest.rpartition(".")[2] or tensor
