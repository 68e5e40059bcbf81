"""Another forward pass of a gru, with the backward pass that is right for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells.layer import Products, Step
from harness.diagnosis.faults.base import GruAfterFault, GruBeforeFault, GruFault
from harness.problem import Problem


class UpdateGateSwapped(GruFault):
    """The shares z_t and 1 − z_t are swapped: h_t = z_t ⊙ n_t + (1 − z_t) ⊙ h_{{t-1}}, as in Chung et al. 2014. To
    compare, negate the blocks of z in W_xh, W_hh and b_h, and in their gradients.
    """

    alters_forward = True
    unlikely = 0

    @override
    def kept(self, z: ndarray) -> ndarray:
        return 1 - super().kept(z)

    @override
    def to_update_gate(self, d_state: ndarray, t: Step) -> ndarray:
        return -super().to_update_gate(d_state, t)


class ResetLeftOut(GruFault):
    """The reset gate is left out, forward and backward: the candidate sees the whole state."""

    alters_forward = True
    unlikely = 0

    @override
    def product(self, r: ndarray, q: ndarray) -> ndarray:
        return super().product(np.ones_like(r), q)

    @override
    def reset(self) -> ndarray:
        return np.ones_like(super().reset())

    @override
    def to_reset_gate(self, d_product: ndarray, t: Step) -> ndarray:
        return np.zeros_like(d_product)


class ResetBeforeTheProduct(GruAfterFault):
    """The reset gate is before the recurrent product, (r_t ⊙ h_{{t-1}}) W_hn, not after it; b_hn is {b_hn_then}."""

    alters_forward = True
    unlikely = 0
    declare = "reset: before"
    b_hn_then: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"b_hn_then": each} for each in ("added", "left out"))

    @override
    def under_reset(self, before: ndarray) -> ndarray:
        return before

    @override
    def recurrent_candidate(self, product: ndarray) -> ndarray:
        of_state = product @ self.recurrent_block("n")
        return of_state + self.b_hn if self.b_hn_then == "added" else of_state

    @override
    def to_product(self, delta_n: ndarray) -> ndarray:
        return delta_n @ self.recurrent_block("n").T

    @override
    def through_candidate(self, delta_n: ndarray, t: Step) -> ndarray:
        return self.to_product(delta_n) * self.reset()[t]

    @override
    def of_candidate(self, delta_n: ndarray) -> tuple[ndarray, ndarray]:
        return self.state_operand() * self.reset(), delta_n

    @override
    def of_recurrent_bias(self, delta_n: ndarray) -> ndarray:
        return delta_n if self.b_hn_then == "added" else np.zeros_like(delta_n)


class ResetAfterTheProduct(GruBeforeFault):
    """The reset gate is after the recurrent product, r_t ⊙ (h_{{t-1}} W_hn), not before it."""

    alters_forward = True
    unlikely = 0
    declare = "reset: after"

    @override
    def under_reset(self, before: ndarray) -> ndarray:
        return before @ self.recurrent_block("n")

    @override
    def recurrent_candidate(self, product: ndarray) -> ndarray:
        return product

    @override
    def to_product(self, delta_n: ndarray) -> ndarray:
        return delta_n

    @override
    def through_candidate(self, delta_n: ndarray, t: Step) -> ndarray:
        return (delta_n * self.reset()[t]) @ self.weights_back(t)[2 * self.h0.shape[-1] :]

    @override
    def of_candidate(self, delta_n: ndarray) -> tuple[ndarray, ndarray]:
        return self.state_operand(), delta_n * self.reset()


class RecurrentBiasOutsideReset(GruAfterFault):
    """The candidate's recurrent bias b_hn is added outside of the reset gate, as if it were part of b_n."""

    alters_forward = True
    unlikely = 0
    hidden_by = ("zero biases",)

    @override
    def recurrent_bias(self) -> ndarray:
        return np.zeros_like(self.b_hn)

    @override
    def bias(self) -> ndarray:
        both = super().bias().copy()
        self.block(both, "n")[...] += self.b_hn
        return both

    @override
    def of_recurrent_bias(self, delta_n: ndarray) -> ndarray:
        return delta_n


class RecurrentBiasLeftOut(GruAfterFault):
    """The candidate's recurrent bias b_hn is left out of the forward pass."""

    alters_forward = True
    unlikely = 0
    hidden_by = ("zero biases",)

    @override
    def recurrent_bias(self) -> ndarray:
        return np.zeros_like(self.b_hn)


class BiasInsideReset(GruAfterFault):
    """The candidate's whole bias is under the reset gate: r_t ⊙ (h_{{t-1}} W_hn + b_n + b_hn)."""

    alters_forward = True
    hidden_by = ("zero biases",)

    @override
    def recurrent_bias(self) -> ndarray:
        return self.b_hn + self.block(self.b_h, "n")

    @override
    def bias(self) -> ndarray:
        without = super().bias().copy()
        self.block(without, "n")[...] = 0
        return without

    @override
    def products(self, delta: ndarray) -> Products:
        found = super().products(delta)
        H = self.h0.shape[-1]
        return {**found, "b_h": [(None, delta[..., : 2 * H]), *found["b_hn"]]}
