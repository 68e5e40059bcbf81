"""The layer of an lstm in parts; ``reference_impls.lstm_split`` has the derivation.

The carried gradient is (2, B, H): δ_{t+1} W_hhᵀ for the state, and dc_{t+1} ⊙ f_{t+1} for the cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells.layer import CellLayer, Step
from reference_impls.activations import ACTIVATIONS, Activation


class LstmCache(NamedTuple):
    """The arrays that the forward pass keeps."""

    x: ndarray  # (T, B, I)
    before: ndarray  # (T, B, H): h_0, …, h_{T-1}
    pre: ndarray  # (T, B, 4H): the pre-activations
    values: ndarray  # (T, B, 4H): i_t, f_t, g_t, o_t
    after: ndarray  # (T, B, H): h_1, …, h_T
    cells_before: ndarray  # (T, B, H): c_0, …, c_{T-1}
    cells: ndarray  # (T, B, H): c_1, …, c_T
    squashed: ndarray  # (T, B, H): φ(c_1), …, φ(c_T)


class LstmLayer(CellLayer):
    """One lstm layer. ``c`` is, beside its gates, the place of the nonlinearity that the cell passes.

    Attributes:
        c0: the initial cell, (B, H).
        state_from_cell: ∂h_t/∂c_t, (T, B, H).
    """

    gates = ("i", "f", "g", "o")

    def __init__(self, parameters: Mapping[str, ndarray], name: str) -> None:
        super().__init__(parameters, name)
        self.c0 = parameters["c0"]
        self.cache: LstmCache
        self.state_from_cell: ndarray

    @override
    def activation_of(self, gate: str) -> Activation:
        return ACTIVATIONS["tanh" if gate in ("g", "c") else "sigmoid"]

    @override
    def argument_of(self, gate: str) -> ndarray:
        return self.cache.cells if gate == "c" else super().argument_of(gate)

    @override
    def value_of(self, gate: str) -> ndarray:
        return self.cache.squashed if gate == "c" else super().value_of(gate)

    # -- forward -----------------------------------------------------------------------------------------------------

    def start_cell(self) -> ndarray:
        """c_0: (B, H)."""
        return self.c0

    def from_state(self, before: ndarray) -> ndarray:
        """h_{t-1} W_hh: (B, 4H)."""
        return before @ self.recurrent_weights()

    @override
    def forward(self, x: ndarray) -> ndarray:
        pre = np.array(self.from_inputs(x))  # (T, B, 4H)
        values = np.empty_like(pre)  # (T, B, 4H)
        shape = (*pre.shape[:2], self.h0.shape[-1])
        before, after, cells_before, cells, squashed = (np.empty(shape, pre.dtype) for _ in range(5))  # (T, B, H) each
        functions = {gate: self.activation_of(gate).value for gate in (*self.gates, "c")}
        state, cell = self.start(), self.start_cell()  # (B, H), (B, H)
        for t in range(len(x)):
            before[t], cells_before[t] = state, cell
            pre[t] += self.from_state(state)
            for gate in self.gates:
                functions[gate](self.block(pre[t], gate), self.block(values[t], gate))
            i, f, g, o = (self.block(values[t], gate) for gate in self.gates)  # (B, H) each
            cells[t] = self.next_cell(cell, i, f, g)
            functions["c"](cells[t], squashed[t])
            np.multiply(o, squashed[t], out=after[t])
            state, cell = self.next_start(after[t]), self.next_start_cell(cells[t])
        self.cache = LstmCache(x, before, pre, values, after, cells_before, cells, squashed)
        return after

    def next_cell(self, before: ndarray, i: ndarray, f: ndarray, g: ndarray) -> ndarray:
        """c_t from c_{t-1} and the gates, (B, H) each: (B, H)."""
        del self
        return f * before + i * g

    def next_start_cell(self, cell: ndarray) -> ndarray:
        """The cell that the next step starts from, given the cell after a step: (B, H)."""
        del self
        return cell

    @override
    def taken(self, cache: LstmCache) -> LstmCache:
        return cache._replace(squashed=self.activation_of("c").value(cache.cells, np.empty_like(cache.cells)))

    # -- backward ----------------------------------------------------------------------------------------------------

    @override
    def prepare(self) -> None:
        super().prepare()
        self.state_from_cell = self.through_output_gate() * self.slope_of("c")

    def through_output_gate(self) -> ndarray:
        """o_t, by which the gradient of h_t is multiplied on its way to φ(c_t): (T, B, H)."""
        return self.value_of("o")

    @override
    def nothing(self) -> ndarray:
        return np.zeros((2, *self.h0.shape), self.h0.dtype)

    @override
    def of_state(self, carried: ndarray) -> ndarray:
        state: ndarray = carried[0]
        return state

    @override
    def to_state(self, gradient: ndarray) -> ndarray:
        return np.stack([gradient, np.zeros_like(gradient)])

    def of_cell(self, carried: ndarray) -> ndarray:
        """The cell's part of a carried gradient (2, B, H): (B, H)."""
        cell: ndarray = carried[1]
        return cell

    def to_cell(self, d_state: ndarray, t: Step) -> ndarray:
        """The gradient of the same step's cell from dh_t (B, H): (B, H)."""
        return d_state * self.state_from_cell[t]

    def total_cell(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        """dc_t: (B, H)."""
        return self.to_cell(self.total(g, carried, t), t) + self.of_cell(carried)

    def to_input_gate(self, d_cell: ndarray, t: Step) -> ndarray:
        """The gradient of i_t from dc_t (B, H): (B, H)."""
        return d_cell * self.value_of("g")[t]

    def to_forget_gate(self, d_cell: ndarray, t: Step) -> ndarray:
        """The gradient of f_t from dc_t (B, H): (B, H)."""
        return d_cell * self.cell_operand()[t]

    def cell_operand(self) -> ndarray:
        """c_{t-1}, the factor of the forget gate: (T, B, H)."""
        return self.cache.cells_before

    def to_candidate(self, d_cell: ndarray, t: Step) -> ndarray:
        """The gradient of g_t from dc_t (B, H): (B, H)."""
        return d_cell * self.value_of("i")[t]

    def to_output_gate(self, d_state: ndarray, t: Step) -> ndarray:
        """The gradient of o_t from dh_t (B, H): (B, H)."""
        return d_state * self.value_of("c")[t]

    @override
    def at_values(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        d_state, d_cell = self.total(g, carried, t), self.total_cell(g, carried, t)  # (B, H) each
        of_cell = (self.to_input_gate(d_cell, t), self.to_forget_gate(d_cell, t), self.to_candidate(d_cell, t))
        return np.concatenate([*of_cell, self.to_output_gate(d_state, t)], axis=-1)

    def cell_before(self, d_cell: ndarray, t: Step) -> ndarray:
        """The direct part of the gradient of c_{t-1} from dc_t (B, H): (B, H)."""
        return d_cell * self.value_of("f")[t]

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        handed = np.empty_like(carried)  # (2, B, H)
        handed[0] = delta @ self.weights_back(t)
        handed[1] = self.cell_before(self.total_cell(g, carried, t), t)
        return handed

    def of_initial_cell(self, delta: ndarray, g: ndarray, carried: ndarray) -> ndarray:
        """The gradient of c_0, (B, H), from δ (T, B, 4H), g (T, B, H) and the last carried gradient (2, B, H)."""
        del delta, g
        return self.of_cell(carried)

    @override
    def of_initial_states(self, delta: ndarray, g: ndarray, carried: ndarray) -> dict[str, ndarray]:
        found = super().of_initial_states(delta, g, carried)
        return {**found, "c0": self.of_initial_cell(delta, g, carried)}
