"""Another forward pass of an lstm, with the backward pass that is right for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells.layer import Step
from harness.diagnosis.faults.base import LstmFault
from harness.problem import Problem


class ForgetBiasAdded(LstmFault):
    """The forget gate's pre-activation is {forget_bias}."""

    alters_forward = True
    unlikely = 0
    forget_bias: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield {"forget_bias": "1 larger: a forget bias of 1 is added, which is in b_h already"}
        yield {"forget_bias": "1 smaller: a forget bias of 1 is left out, which TensorFlow 1 adds to the stored bias"}

    @override
    def bias(self) -> ndarray:
        shifted = super().bias().copy()
        self.block(shifted, "f")[...] += 1 if "added" in self.forget_bias else -1
        return shifted


class InitialCellIgnored(LstmFault):
    """The forward pass starts from a cell of zero: c_0 is not used."""

    alters_forward = True
    unlikely = 0
    hidden_by = ("zero initial state",)

    @override
    def start_cell(self) -> ndarray:
        return np.zeros_like(super().start_cell())


class InitialStatesSwapped(LstmFault):
    """The initial states h_0 and c_0 are swapped, forward and backward, as when the pair is (c, h) in one place and (h,
    c) in another.
    """

    alters_forward = True
    hidden_by = ("zero initial state",)

    @override
    def start(self) -> ndarray:
        return super().start_cell()

    @override
    def start_cell(self) -> ndarray:
        return super().start()

    @override
    def of_initial_states(self, delta: ndarray, g: ndarray, carried: ndarray) -> dict[str, ndarray]:
        found = super().of_initial_states(delta, g, carried)
        return {**found, "h0": found["c0"], "c0": found["h0"]}


class InputGateCoupled(LstmFault):
    """The input gate is replaced by 1 − f_t, as in a coupled lstm."""

    alters_forward = True
    unlikely = 2

    @override
    def next_cell(self, before: ndarray, i: ndarray, f: ndarray, g: ndarray) -> ndarray:
        return super().next_cell(before, 1 - f, f, g)

    @override
    def to_input_gate(self, d_cell: ndarray, t: Step) -> ndarray:
        return np.zeros_like(d_cell)

    @override
    def to_forget_gate(self, d_cell: ndarray, t: Step) -> ndarray:
        return super().to_forget_gate(d_cell, t) - super().to_input_gate(d_cell, t)

    @override
    def to_candidate(self, d_cell: ndarray, t: Step) -> ndarray:
        return d_cell * (1 - self.value_of("f")[t])


class CellNotKept(LstmFault):
    """The cell is {cell_is}; it should be f_t ⊙ c_{{t-1}} + i_t ⊙ g_t."""

    alters_forward = True
    cell_is: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"cell_is": each} for each in ("i_t ⊙ g_t", "c_{t-1} + i_t ⊙ g_t", "f_t ⊙ c_{t-1} + g_t"))

    @override
    def next_cell(self, before: ndarray, i: ndarray, f: ndarray, g: ndarray) -> ndarray:
        if self.cell_is == "i_t ⊙ g_t":
            return super().next_cell(before, i, np.zeros_like(f), g)
        if self.cell_is == "c_{t-1} + i_t ⊙ g_t":
            return super().next_cell(before, i, np.ones_like(f), g)
        return super().next_cell(before, np.ones_like(i), f, g)

    @override
    def to_forget_gate(self, d_cell: ndarray, t: Step) -> ndarray:
        return super().to_forget_gate(d_cell, t) * (0 if "f_t" not in self.cell_is else 1)

    @override
    def to_input_gate(self, d_cell: ndarray, t: Step) -> ndarray:
        return super().to_input_gate(d_cell, t) * (0 if "i_t" not in self.cell_is else 1)

    @override
    def to_candidate(self, d_cell: ndarray, t: Step) -> ndarray:
        return super().to_candidate(d_cell, t) if "i_t" in self.cell_is else d_cell

    @override
    def cell_before(self, d_cell: ndarray, t: Step) -> ndarray:
        if "c_{t-1}" not in self.cell_is:
            return np.zeros_like(d_cell)
        return super().cell_before(d_cell, t) if "f_t" in self.cell_is else d_cell
