"""Faults of a gru's backward pass alone: of its gates, and of the ways from a state to the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells.layer import Products, Step
from harness.diagnosis.faults.base import GruAfterFault, GruBeforeFault, GruFault
from harness.problem import Problem

PASSING = ("one step", "no gradient passes between steps")


class DirectPathMissing(GruFault):
    """The gradient carried to the state before lacks the direct path, dh_t ⊙ z_t."""

    unlikely = 0
    hidden_by = PASSING

    @override
    def directly(self, d_state: ndarray, t: Step) -> ndarray:
        return np.zeros_like(d_state)


class DirectPathWithAnotherFactor(GruFault):
    """The direct part of the gradient carried to the state before is {direct_path}; it should be dh_t ⊙ z_t."""

    unlikely = 0
    hidden_by = PASSING
    direct_path: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"direct_path": each} for each in ("dh_t ⊙ (1 − z_t)", "dh_t itself", "dh_t ⊙ r_t"))

    @override
    def directly(self, d_state: ndarray, t: Step) -> ndarray:
        wrong: dict[str, Callable[[], Any]] = {
            "dh_t ⊙ (1 − z_t)": lambda: 1 - self.value_of("z")[t],
            "dh_t itself": lambda: 1.0,
            "dh_t ⊙ r_t": lambda: self.value_of("r")[t],
        }
        return d_state * wrong[self.direct_path]()


class UpdateGateWithAnotherFactor(GruFault):
    """The gradient of the update gate is {update_gate_times}; it should be dh_t ⊙ (h_{{t-1}} − n_t)."""

    unlikely = 0
    update_gate_times: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        ways = (
            "dh_t ⊙ (n_t − h_{t-1}): its sign is wrong",
            "−dh_t ⊙ n_t",
            "dh_t ⊙ h_{t-1}",
            "dh_t ⊙ (h_t − n_t)",
            "dh_t ⊙ (h_{t-1} + n_t)",
        )
        yield from ({"update_gate_times": each} for each in ways)

    @override
    def to_update_gate(self, d_state: ndarray, t: Step) -> ndarray:
        h, n = self.cache.before[t], self.value_of("n")[t]
        wrong: dict[str, Callable[[], Any]] = {
            "dh_t ⊙ (n_t − h_{t-1}): its sign is wrong": lambda: n - h,
            "−dh_t ⊙ n_t": lambda: -n,
            "dh_t ⊙ h_{t-1}": lambda: h,
            "dh_t ⊙ (h_t − n_t)": lambda: self.cache.after[t] - n,
            "dh_t ⊙ (h_{t-1} + n_t)": lambda: h + n,
        }
        return d_state * wrong[self.update_gate_times]()


class NewStateWithAnotherFactor(GruFault):
    """The gradient of the candidate is {new_state_times}; it should be dh_t ⊙ (1 − z_t)."""

    unlikely = 0
    new_state_times: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"new_state_times": each} for each in ("dh_t ⊙ z_t", "dh_t itself"))

    @override
    def to_candidate(self, d_state: ndarray, t: Step) -> ndarray:
        return d_state * (self.value_of("z")[t] if "z_t" in self.new_state_times else 1.0)


class ResetGateWithAnotherFactor(GruAfterFault):
    """The gradient of the reset gate is δ^n_t ⊙ {under_reset_is}; it should be δ^n_t ⊙ (h_{{t-1}} W_hn + b_hn)."""

    unlikely = 0
    under_reset_is: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"under_reset_is": each} for each in ("h_{t-1}", "(h_{t-1} W_hn)", "r_t ⊙ (h_{t-1} W_hn + b_hn)"))

    @override
    def to_reset_gate(self, d_product: ndarray, t: Step) -> ndarray:
        wrong: dict[str, Callable[[], Any]] = {
            "h_{t-1}": lambda: self.cache.before[t],
            "(h_{t-1} W_hn)": lambda: self.cache.under_reset[t] - self.b_hn,
            "r_t ⊙ (h_{t-1} W_hn + b_hn)": lambda: self.value_of("r")[t] * self.cache.under_reset[t],
        }
        return d_product * wrong[self.under_reset_is]()


class ResetGateAsIfBefore(GruAfterFault):
    """The gradient of the reset gate is (δ^n_t W_hnᵀ) ⊙ h_{{t-1}}, as if the gate were before the product."""

    unlikely = 0

    @override
    def to_reset_gate(self, d_product: ndarray, t: Step) -> ndarray:
        return (d_product @ self.recurrent_block("n").T) * self.cache.before[t]


class ResetGateAsIfAfter(GruBeforeFault):
    """The gradient of the reset gate is δ^n_t ⊙ {as_if_after}, as if the gate were after the product."""

    unlikely = 0
    as_if_after: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"as_if_after": each} for each in ("(h_{t-1} W_hn)", "h_{t-1}"))

    @override
    def at_values(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        values = super().at_values(g, carried, t)
        h = self.cache.before[t]  # (B, H)
        factor = h if self.as_if_after == "h_{t-1}" else h @ self.recurrent_block("n")
        self.block(values, "r")[...] = self.block(values, "n") * self.block(self.slopes[t], "n") * factor
        return values


class ResetGateWithoutSlopeOfCandidate(GruFault):
    """The candidate's gradient is not multiplied by the candidate's derivative on its way to the reset gate."""

    unlikely = 0

    @override
    def at_values(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        values = super().at_values(g, carried, t)
        self.block(values, "r")[...] = self.to_reset_gate(self.to_product(self.block(values, "n")), t)
        return values


class CarriedInOneWayAlone(GruFault):
    """The gradient carried to the state before has the part {carried_way} alone."""

    hidden_by = PASSING
    carried_way: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"carried_way": each} for each in ("through the gates r and z", "through the candidate"))

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        H = self.h0.shape[-1]
        if self.carried_way == "through the candidate":
            return self.through_candidate(self.block(delta, "n"), t)
        return delta[..., : 2 * H] @ self.weights_back(t)[: 2 * H]


class InputsThroughReset(GruFault):
    """The gradient of a layer's inputs has δ^n_t ⊙ r_t instead of δ^n_t."""

    @override
    def of_inputs(self, delta: ndarray, g: ndarray) -> ndarray:
        multiplied = delta.copy()
        self.block(multiplied, "n")[...] *= self.value_of("r")
        return super().of_inputs(multiplied, g)


class CandidateWithoutReset(GruFault):
    """For {unreset}, the way back through the candidate is not multiplied by r_t."""

    unlikely = 0
    unreset: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"unreset": each} for each in _each_and_all(problem))

    def _unreset(self, what: str) -> bool:
        return what in self.unreset.split(", ")

    @override
    def through_candidate(self, delta_n: ndarray, t: Step) -> ndarray:
        if self._unreset("the gradient carried to the state before"):
            return delta_n @ self.weights_back(t)[2 * self.h0.shape[-1] :]
        return super().through_candidate(delta_n, t)

    @override
    def products(self, delta: ndarray) -> Products:
        found = dict(super().products(delta))
        own = self.block(delta, "n")
        if self._unreset("the gradient of W_hn"):
            found["W_hh"] = [found["W_hh"][0], (self.state_operand(), own)]
        if self._unreset("the gradient of b_hn"):
            found["b_hn"] = [(None, own)]
        return found


def _each_and_all(problem: Problem) -> list[str]:
    whats = ["the gradient carried to the state before", "the gradient of W_hn"]
    if problem.structure.has_recurrent_bias:
        return [
            *whats,
            "the gradient of b_hn",
            *(", ".join(pair) for pair in combinations((*whats, "the gradient of b_hn"), 2)),
            ", ".join((*whats, "the gradient of b_hn")),
        ]
    return [*whats, ", ".join(whats)]


class RecurrentCandidateNotTransposed(GruBeforeFault):
    """The way back through the candidate uses W_hn untransposed: δ^n_t W_hn."""

    hidden_by = ("one unit", "constant weights")

    @override
    def to_product(self, delta_n: ndarray) -> ndarray:
        return delta_n @ self.recurrent_block("n")


class ResetProductWithAnotherFactor(GruBeforeFault):
    """The gradient of r_t ⊙ h_{{t-1}} is {reset_product_is}; it should be δ^n_t W_hnᵀ."""

    reset_product_is: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"reset_product_is": each} for each in ("δ^n_t itself", "(δ^n_t W_hnᵀ) ⊙ r_t for the reset gate"))

    @override
    def to_product(self, delta_n: ndarray) -> ndarray:
        return delta_n if self.reset_product_is == "δ^n_t itself" else super().to_product(delta_n)

    @override
    def to_reset_gate(self, d_product: ndarray, t: Step) -> ndarray:
        own = super().to_reset_gate(d_product, t)
        return own * self.value_of("r")[t] if "⊙ r_t" in self.reset_product_is else own


class RecurrentBiasGradientIsBias(GruAfterFault):
    """The gradient of b_hn is {of_recurrent_bias_is}; it should be the sum of δ^n_t ⊙ r_t."""

    of_recurrent_bias_is: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"of_recurrent_bias_is": each} for each in ("that of b_r", "that of b_z"))

    @override
    def products(self, delta: ndarray) -> Products:
        gate = "r" if self.of_recurrent_bias_is == "that of b_r" else "z"
        return {**super().products(delta), "b_hn": [(None, self.block(delta, gate))]}


class BiasMultipliedByReset(GruAfterFault):
    """The gradient of the candidate's b_n is multiplied by r_t, like that of b_hn."""

    @override
    def products(self, delta: ndarray) -> Products:
        H = self.h0.shape[-1]
        of_n = self.block(delta, "n") * self.value_of("r")
        return {**super().products(delta), "b_h": [(None, delta[..., : 2 * H]), (None, of_n)]}


class InputOfCandidateMultipliedByReset(GruFault):
    """The gradient of W_xn multiplies x_t with δ^n_t ⊙ r_t instead of δ^n_t."""

    @override
    def products(self, delta: ndarray) -> Products:
        H = self.h0.shape[-1]
        of_n = self.block(delta, "n") * self.value_of("r")
        x = self.input_operand()
        return {**super().products(delta), "W_xh": [(x, delta[..., : 2 * H]), (x, of_n)]}
