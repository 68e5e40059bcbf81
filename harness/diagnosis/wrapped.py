r"""Both directions and unequal lengths in parts, so that a fault replaces one part by another.

``bptt`` has the parts of a layer. Here the layers are whole, those of ``reference_impls``, and the parts are around
them: the steps of each direction and their order, the join of the two, and the values past an end. The mathematics is
that of ``reference_impls.bidirectional`` and ``reference_impls.lengths`` with another order of the sums: one direction
after the other, each over sequences that end at their own ends.

Time first inside: T time, B batch, D directions, I input, H hidden, O output.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.bptt import Network, masked
from harness.diagnosis.cells import CellLayer
from harness.problem import Problem
from harness.problem.reference import activations_of, cell_of
from harness.tensors import STATES
from reference_impls.layer import AnyLayer
from reference_impls.lengths import of_lengths, zero_past
from reference_impls.truncation import Pass


def is_wrapped(problem: Problem) -> bool:
    """Return whether a problem has both directions, or sequences of unequal length."""
    return problem.structure.directions == 2 or problem.lengths is not None


class DirectionPass(NamedTuple):
    """One direction's forward pass of one layer."""

    layer: AnyLayer
    cache: Any


class WrappedNetwork(Network):
    """Layers on each other, each in one or both directions, over sequences of any lengths; a readout, a loss.

    Args:
        problem: in the split layout.
        layers: empty; no layer is in parts.
    """

    def __init__(self, problem: Problem, layers: tuple[type[CellLayer], ...] = ()) -> None:
        self.problem, self.structure, self.kinds, self.layers = problem, problem.structure, layers, []
        self.forward_passes: dict[str, DirectionPass] = {}  # by block
        self.model: WrappedNetwork | None = None
        self.visits = 1

    # -- steps of each direction --------------------------------------------------------------------------------------

    def ends(self) -> ndarray:
        """The number of steps of each sequence: (B,)."""
        lengths = self.problem.lengths
        return np.full(self.structure.batch, self.structure.time) if lengths is None else lengths

    def runs_over(self, direction: int) -> ndarray:
        """The number of steps that a direction, 0 or 1, runs over in each sequence: (B,)."""
        del direction
        return self.ends()

    def turned_round(self, tensor: ndarray) -> ndarray:
        """Return a tensor (T, B, …) with the steps that the backward direction runs over in reversed order."""
        lengths, steps = self.runs_over(1), np.arange(len(tensor))[:, None]
        order = np.where(steps < lengths, lengths - 1 - steps, steps)  # (T, B)
        return np.take_along_axis(tensor, order[:, :, None], axis=0)

    def read_backward(self, x: ndarray) -> ndarray:
        """The input of the backward direction, from x (T, B, I or D·H), in its own order of steps."""
        return self.turned_round(x)

    def realigned(self, outputs: ndarray) -> ndarray:
        """The backward direction's outputs (T, B, H), put in order."""
        return self.turned_round(outputs)

    def joined(self, forth: ndarray, back: ndarray) -> ndarray:
        """The outputs of both directions, (T, B, H) each, as one: (T, B, 2H)."""
        return np.concatenate([forth, back], axis=-1)

    def past_ends(self, outputs: ndarray) -> ndarray:
        """The outputs (T, B, O) with the values past each sequence's end."""
        return zero_past(outputs, self.ends())

    # -- forward -----------------------------------------------------------------------------------------------------

    @override
    def forward(self) -> None:
        below = self.inputs()
        for n in range(self.structure.layers):
            below = self.layer_forward(n, self.layer_input(n, below))
        self.top = below
        self.outputs = self.past_ends(self.read_out(below))

    def layer_forward(self, n: int, x: ndarray) -> ndarray:
        """Run layer n over x (T, B, I or D·H); return its outputs (T, B, D·H)."""
        found = []
        for direction, block in enumerate(self.structure.blocks_of(n)):
            layer = of_lengths(cell_of(self.structure), self.runs_over(direction))
            states = [self.problem.initial_state[f"{block}.{name}"] for name in STATES[self.structure.cell]]
            weights = {name: self.problem.weights[f"{block}.{name}"] for name in layer.WEIGHTS}
            read = self.read_backward(x) if direction else x
            cache = layer.forward(read, *states, weights, **activations_of(self.problem))
            self.forward_passes[block] = DirectionPass(layer, cache)
            found.append(self.realigned(cache.outputs) if direction else cache.outputs)
        return zero_past(self.joined(*found), self.ends()) if len(found) == 2 else found[0]

    def right_forward_passes(self) -> dict[str, DirectionPass]:
        """The forward pass by block: its own, or that of the network that it reuses."""
        return self.forward_passes if self.model is None else self.model.right_forward_passes()

    # -- backward ----------------------------------------------------------------------------------------------------

    @override
    def upstream(self, d_outputs: ndarray) -> ndarray:
        return zero_past(super().upstream(d_outputs), self.ends())

    def halves(self, g: ndarray) -> tuple[ndarray, ndarray]:
        """Each direction's half of g (T, B, 2H): (T, B, H) each."""
        forth, back = np.split(g, 2, axis=-1)
        return forth, back

    def to_backward(self, g: ndarray) -> ndarray:
        """The backward direction's part of g, (T, B, H), in its own order of steps."""
        return self.turned_round(g)

    def from_backward(self, d_x: ndarray) -> ndarray:
        """The gradient of the backward direction's input, (T, B, I), put in order."""
        return self.turned_round(d_x)

    def of_inputs(self, d_forth: ndarray, d_back: ndarray) -> ndarray:
        """The gradient of a layer's inputs, from each direction's part of it, (T, B, I) each."""
        return d_forth + d_back

    @override
    def through_layers(self, d_top: ndarray) -> dict[str, ndarray]:
        total: dict[str, ndarray] = {}
        every = self.passes()
        self.visits = len(every)
        for each in every:
            counted = g = masked(d_top, each)  # (T, B, D·H)
            for n in reversed(range(self.structure.layers)):
                d_x = self.through_layer(n, g, each, total)  # (T, B, D·H), or (T, B, I) of the first
                g = self.to_below(n, d_x, counted)
        return total

    @override
    def through_layer(self, n: int, g: ndarray, each: Pass, total: dict[str, ndarray]) -> ndarray:
        passes = self.right_forward_passes()
        blocks, found = self.structure.blocks_of(n), dict[str, ndarray]()
        parts = [g] if len(blocks) == 1 else self.halves(zero_past(g, self.ends()))
        of_directions = []
        for direction, (block, part) in enumerate(zip(blocks, parts, strict=True)):
            layer, cache = passes[block]
            starts = (each.starts,) if each.starts else ()
            d_x, *d_states, gradients = layer.backward(cache, self.to_backward(part) if direction else part, *starts)
            names = STATES[self.structure.cell]
            found |= {f"{block}.{name}": gradient for name, gradient in gradients.items()}
            found |= {f"{block}.{name}": d_state for name, d_state in zip(names, d_states, strict=True)}
            of_directions.append(self.from_backward(d_x) if direction else d_x)
        d_x = self.of_inputs(of_directions[0], of_directions[1]) if len(blocks) == 2 else of_directions[0]
        if n == 0:
            found["inputs"] = d_x.swapaxes(0, 1)
        for name, gradient in found.items():
            total[name] = total[name] + gradient if name in total else gradient
        return d_x
