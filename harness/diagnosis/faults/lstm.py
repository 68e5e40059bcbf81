"""Faults of an lstm's backward pass alone: of its cell, and of the factors of each gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells.layer import Step
from harness.diagnosis.faults.base import LstmFault, NetworkFault
from harness.diagnosis.faults.needs import linear_readout, several_steps, truncation
from harness.problem import Problem

PASSING = ("one step", "no gradient passes between steps")


class CellNotCarried(LstmFault):
    """The gradient of the cell is not carried from step to step: dc_t comes through h_t alone."""

    unlikely = 0
    hidden_by = PASSING

    @override
    def cell_before(self, d_cell: ndarray, t: Step) -> ndarray:
        return np.zeros_like(d_cell)


class CellReplaced(LstmFault):
    """The gradient that the next step hands to the cell is replaced by the gradient through h_t; the two should add up
    to dc_t.
    """

    unlikely = 0
    hidden_by = PASSING

    @override
    def total_cell(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return self.to_cell(self.total(g, carried, t), t)


class StateFromCarriedCell(LstmFault):
    """The gradient that the next step hands to the cell is added to dh_t, too."""

    unlikely = 2
    hidden_by = PASSING

    @override
    def total(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return super().total(g, carried, t) + self.of_cell(carried)


class CellCarriedWithoutForgetGate(LstmFault):
    """The gradient of the cell is carried to the step before as {cell_carried_as}; it should be dc_t ⊙ f_t."""

    unlikely = 0
    hidden_by = PASSING
    cell_carried_as: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        factors = ("dc_t", "dc_t ⊙ i_t", "dc_t ⊙ o_t", "dc_t ⊙ f_t ⊙ (1 − f_t)", "dc_t ⊙ σ'(a^f_t) c_{t-1}")
        yield from ({"cell_carried_as": each} for each in factors)

    @override
    def cell_before(self, d_cell: ndarray, t: Step) -> ndarray:
        wrong: dict[str, Callable[[], Any]] = {
            "dc_t": lambda: 1.0,
            "dc_t ⊙ i_t": lambda: self.value_of("i")[t],
            "dc_t ⊙ o_t": lambda: self.value_of("o")[t],
            "dc_t ⊙ f_t ⊙ (1 − f_t)": lambda: self.slope_of("f")[t],
            "dc_t ⊙ σ'(a^f_t) c_{t-1}": lambda: self.slope_of("f")[t] * self.cache.cells_before[t],
        }
        return d_cell * wrong[self.cell_carried_as]()


class CellCarriedThroughAnotherStep(LstmFault):
    """The gradient of the cell is carried to the step before through the forget gate of the step {forget_step}."""

    hidden_by = PASSING
    forget_step: str
    needs = (several_steps,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"forget_step": each} for each in ("before", "after"))

    @override
    def cell_before(self, d_cell: ndarray, t: Step) -> ndarray:
        f = self.value_of("f")  # (T, B, H)
        moved = np.concatenate([f[:1], f[:-1]] if self.forget_step == "before" else [f[1:], f[-1:]])
        return d_cell * moved[t]


class CellCarriedTwice(LstmFault):
    """The gradient that the next step hands to the cell is added twice to dc_t."""

    hidden_by = PASSING

    @override
    def of_cell(self, carried: ndarray) -> ndarray:
        return 2 * super().of_cell(carried)

    @override
    def of_initial_cell(self, delta: ndarray, g: ndarray, carried: ndarray) -> ndarray:
        return super().of_initial_cell(delta, g, carried) / 2


class CellFromStateWithoutFactor(LstmFault):
    """The state gradient dh_t adds {given_to_cell} to dc_t; it should add dh_t ⊙ o_t ⊙ (1 − tanh²(c_t))."""

    unlikely = 0
    given_to_cell: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        ways = ("nothing", "dh_t ⊙ (1 − tanh²(c_t))", "dh_t itself", "dh_t ⊙ o_t ⊙ (1 − o_t) ⊙ (1 − tanh²(c_t))")
        yield from ({"given_to_cell": each} for each in ways)

    @override
    def to_cell(self, d_state: ndarray, t: Step) -> ndarray:
        wrong: dict[str, Callable[[], Any]] = {
            "nothing": lambda: 0.0,
            "dh_t ⊙ (1 − tanh²(c_t))": lambda: self.slope_of("c")[t],
            "dh_t itself": lambda: 1.0,
            "dh_t ⊙ o_t ⊙ (1 − o_t) ⊙ (1 − tanh²(c_t))": lambda: self.slope_of("o")[t] * self.slope_of("c")[t],
        }
        return d_state * wrong[self.given_to_cell]()


class CellFromStateTwice(LstmFault):
    """The contribution of dh_t is added twice to dc_t."""

    @override
    def to_cell(self, d_state: ndarray, t: Step) -> ndarray:
        return 2 * super().to_cell(d_state, t)


class CellFromPartOfState(LstmFault):
    """The cell receives only the part of dh_t that comes {part_of_state}."""

    hidden_by = (*PASSING, "loss at the last step alone")
    part_of_state: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"part_of_state": each} for each in ("from above", "from the next step"))

    @override
    def total_cell(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        part = g[t] if self.part_of_state == "from above" else self.of_state(carried)
        return self.to_cell(part, t) + self.of_cell(carried)


class CellFromStateAtLastStepOnly(LstmFault):
    """The contribution of dh_t is added to dc_t at the last step alone."""

    hidden_by = (*PASSING, "no gradient reaches further than a step")
    needs = (several_steps,)

    @override
    def to_cell(self, d_state: ndarray, t: Step) -> ndarray:
        given = super().to_cell(d_state, t)
        return given if t == len(self.cache.x) - 1 else np.zeros_like(given)


class GatesWithoutCarriedCell(LstmFault):
    """The gates i, f and g receive the gradient of the cell through h_t alone; the gradient from later steps is carried
    past them.
    """

    hidden_by = PASSING

    @override
    def at_values(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        H = self.h0.shape[-1]
        whole = super().at_values(g, carried, t)
        state_alone = self.to_state(self.of_state(carried))
        return np.concatenate([super().at_values(g, state_alone, t)[..., : 3 * H], whole[..., 3 * H :]], axis=-1)


class InputGateWithAnotherFactor(LstmFault):
    """The gradient of the input gate is {input_gate_times}; it should be dc_t ⊙ g_t."""

    input_gate_times: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        ways = ("dc_t itself", "dc_t ⊙ i_t", "dc_t ⊙ c_t", "dc_t ⊙ c_{t-1}", "dc_t ⊙ a^g_t")
        yield from ({"input_gate_times": each} for each in ways)

    @override
    def to_input_gate(self, d_cell: ndarray, t: Step) -> ndarray:
        wrong: dict[str, Callable[[], Any]] = {
            "dc_t itself": lambda: 1.0,
            "dc_t ⊙ i_t": lambda: self.value_of("i")[t],
            "dc_t ⊙ c_t": lambda: self.cache.cells[t],
            "dc_t ⊙ c_{t-1}": lambda: self.cache.cells_before[t],
            "dc_t ⊙ a^g_t": lambda: self.argument_of("g")[t],
        }
        return d_cell * wrong[self.input_gate_times]()


class ForgetGateWithAnotherFactor(LstmFault):
    """The gradient of the forget gate is {forget_gate_times}; it should be dc_t ⊙ c_{{t-1}}."""

    forget_gate_times: str
    unlikely = 0

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        ways = ("dc_t ⊙ c_t", "dc_t itself", "dc_t ⊙ tanh(c_{t-1})", "dc_t ⊙ g_t", "dc_t ⊙ h_{t-1}", "dc_t ⊙ f_t")
        yield from ({"forget_gate_times": each} for each in ways)

    @override
    def to_forget_gate(self, d_cell: ndarray, t: Step) -> ndarray:
        wrong: dict[str, Callable[[], Any]] = {
            "dc_t ⊙ c_t": lambda: self.cache.cells[t],
            "dc_t itself": lambda: 1.0,
            "dc_t ⊙ tanh(c_{t-1})": lambda: np.tanh(self.cache.cells_before[t]),
            "dc_t ⊙ g_t": lambda: self.value_of("g")[t],
            "dc_t ⊙ h_{t-1}": lambda: self.cache.before[t],
            "dc_t ⊙ f_t": lambda: self.value_of("f")[t],
        }
        return d_cell * wrong[self.forget_gate_times]()


class CandidateWithAnotherFactor(LstmFault):
    """The gradient of the candidate is {candidate_times}; it should be dc_t ⊙ i_t."""

    candidate_times: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        ways = ("dc_t itself", "dc_t ⊙ g_t", "dc_t ⊙ f_t", "dc_t ⊙ o_t")
        yield from ({"candidate_times": each} for each in ways)

    @override
    def to_candidate(self, d_cell: ndarray, t: Step) -> ndarray:
        wrong: dict[str, Callable[[], Any]] = {
            "dc_t itself": lambda: 1.0,
            "dc_t ⊙ g_t": lambda: self.value_of("g")[t],
            "dc_t ⊙ f_t": lambda: self.value_of("f")[t],
            "dc_t ⊙ o_t": lambda: self.value_of("o")[t],
        }
        return d_cell * wrong[self.candidate_times]()


class OutputGateWithAnotherFactor(LstmFault):
    """The gradient of the output gate is {output_gate_times}; it should be dh_t ⊙ tanh(c_t)."""

    unlikely = 0
    output_gate_times: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        ways = (
            "dh_t ⊙ c_t",
            "dh_t itself",
            "dh_t ⊙ tanh(c_{t-1})",
            "dh_t ⊙ tanh(tanh(c_t))",
            "dh_t ⊙ h_t",
            "dc_t ⊙ tanh(c_t)",
            "dh_t ⊙ (1 − tanh²(c_t))",
        )
        yield from ({"output_gate_times": each} for each in ways)

    @override
    def at_values(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        values = super().at_values(g, carried, t)
        if self.output_gate_times == "dc_t ⊙ tanh(c_t)":
            self.block(values, "o")[...] = super().to_output_gate(self.total_cell(g, carried, t), t)
        return values

    @override
    def to_output_gate(self, d_state: ndarray, t: Step) -> ndarray:
        wrong: dict[str, Callable[[], Any]] = {
            "dh_t ⊙ c_t": lambda: self.cache.cells[t],
            "dh_t itself": lambda: 1.0,
            "dh_t ⊙ tanh(c_{t-1})": lambda: np.tanh(self.cache.cells_before[t]),
            "dh_t ⊙ tanh(tanh(c_t))": lambda: np.tanh(self.value_of("c")[t]),
            "dh_t ⊙ h_t": lambda: self.cache.after[t],
            "dc_t ⊙ tanh(c_t)": lambda: 1.0,  # at_values
            "dh_t ⊙ (1 − tanh²(c_t))": lambda: self.slope_of("c")[t],
        }
        return d_state * wrong[self.output_gate_times]()


class CellBeforeFirstFromEnd(LstmFault):
    """The gradient of the forget gate takes the cell before the first step from the end of the array: c_T for c_0."""

    unlikely = 0
    hidden_by = ("no gradient reaches the initial state",)

    @override
    def cell_operand(self) -> ndarray:
        return np.concatenate([self.cache.cells[-1:], super().cell_operand()[1:]])


class InitialCellLeftOut(LstmFault):
    """The gradient of the forget gate takes the cell before the first step as zero; it should be c_0."""

    unlikely = 0
    hidden_by = ("zero initial state", "no gradient reaches the initial state")

    @override
    def cell_operand(self) -> ndarray:
        before = super().cell_operand().copy()
        before[0] = 0
        return before


class CellTwoStepsBefore(LstmFault):
    """The gradient of the forget gate takes the cell c_{{t-2}} instead of c_{{t-1}}."""

    hidden_by = ("loss at the first step alone",)
    needs = (several_steps,)

    @override
    def cell_operand(self) -> ndarray:
        before = super().cell_operand()
        return np.concatenate([before[:1], before[:-1]])


class TanhOfCellBefore(LstmFault):
    """The gradients of the output gate and of the cell have tanh(c_{{t-1}}) instead of tanh(c_t)."""

    unlikely = 0

    @override
    def value_of(self, gate: str) -> ndarray:
        if gate != "c":
            return super().value_of(gate)
        before = self.cache.cells_before
        return self.activation_of("c").value(before, np.empty_like(before))


class InitialCellFromAnotherTerm(LstmFault):
    """The gradient of the initial cell is {initial_cell_is}; it should be dc_1 ⊙ f_1."""

    initial_cell_is: str
    hidden_by = ("no gradient reaches the initial state",)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        ways = ["dc_1, without the forget gate", "that of the initial hidden state"]
        if problem.case.sizes.batch > 1:
            ways.append("its sum over the batch, for every sequence")
        if problem.case.sizes.time > 1:
            ways.append("the gradient that the last step hands back")
        yield from ({"initial_cell_is": each} for each in ways)

    @override
    def of_initial_cell(self, delta: ndarray, g: ndarray, carried: ndarray) -> ndarray:
        own = super().of_initial_cell(delta, g, carried)  # (B, H)
        if self.initial_cell_is.startswith("dc_1"):
            return self.total_cell(g, self.arrived[..., 0, :, :], 0)
        if self.initial_cell_is.startswith("that"):
            return self.of_initial_state(delta, g, carried)
        if self.initial_cell_is.startswith("its sum"):
            return np.broadcast_to(own.sum(axis=0), own.shape).copy()
        last = len(delta) - 1
        return self.of_cell(self.carry(delta[last], g, self.arrived[..., last, :, :], last))


class OnlyOneStateCut(LstmFault):
    """The gradient of the {state_cut} is cut where a chunk begins, but that of the {state_not_cut} is carried on; both
    should be cut.
    """

    unlikely = 0
    hidden_by = ("the truncation cuts nothing", "no gradient passes between steps")
    state_cut: str
    state_not_cut: str
    needs = (truncation,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield {"state_cut": "hidden state", "state_not_cut": "cell"}
        yield {"state_cut": "cell", "state_not_cut": "hidden state"}

    @override
    def cut(self, handed: ndarray) -> ndarray:
        left = handed.copy()
        left[0 if self.state_cut == "hidden state" else 1] = 0
        return left


class ReadoutOfCell(NetworkFault):
    """The gradient of W_hy multiplies the output error with the cell c_t instead of h_t."""

    cells = ("lstm",)
    needs = (linear_readout,)

    @override
    def readout_operand(self) -> ndarray:
        operand: ndarray = self.layers[-1].cache.cells
        return operand
