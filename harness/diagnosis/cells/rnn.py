"""The layer of a vanilla rnn in parts; ``reference_impls.rnn_split`` has the derivation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells.layer import CellLayer, Step
from reference_impls.activations import ACTIVATIONS, Activation


class RnnCache(NamedTuple):
    """The arrays that the forward pass keeps."""

    x: ndarray  # (T, B, I)
    before: ndarray  # (T, B, H): the state that each step starts from
    pre: ndarray  # (T, B, H): the pre-activations
    values: ndarray  # (T, B, H): the state that each step ends with
    after: ndarray  # (T, B, H): the same


class RnnLayer(CellLayer):
    """One vanilla recurrent layer. Its one gate is the state itself."""

    gates = ("h",)

    @override
    def activation_of(self, gate: str) -> Activation:
        return ACTIVATIONS[self.name]

    def from_state(self, before: ndarray) -> ndarray:
        """h_{t-1} W_hh: (B, H)."""
        return before @ self.recurrent_weights()

    @override
    def forward(self, x: ndarray) -> ndarray:
        pre = np.array(self.from_inputs(x))  # (T, B, H)
        before, after = np.empty_like(pre), np.empty_like(pre)  # (T, B, H) each
        value = self.activation_of("h").value
        state = self.start()  # (B, H)
        for t in range(len(x)):
            before[t] = state
            pre[t] += self.from_state(state)  # (B, H)
            value(pre[t], after[t])
            state = self.next_start(after[t])
        self.cache = RnnCache(x, before, pre, after, after)
        return after

    @override
    def at_values(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return self.total(g, carried, t)

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        del g, carried
        return delta @ self.weights_back(t)
