"""The layer of a gru in parts, in both variants; ``reference_impls.gru_split`` has the derivation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells.layer import CellLayer, Products, Step
from reference_impls.activations import ACTIVATIONS, Activation

EVERY: Step = slice(None)


class GruCache(NamedTuple):
    """The arrays that the forward pass keeps."""

    x: ndarray  # (T, B, I)
    before: ndarray  # (T, B, H): h_0, …, h_{T-1}
    pre: ndarray  # (T, B, 3H): the pre-activations
    values: ndarray  # (T, B, 3H): r_t, z_t, n_t
    after: ndarray  # (T, B, H): h_1, …, h_T
    under_reset: ndarray  # (T, B, H): q_t, the factor of r_t


class GruLayer(CellLayer):
    """One gru layer, except for the difference of the two variants: the factor of the reset gate, and its place."""

    gates = ("r", "z", "n")

    def __init__(self, parameters: Mapping[str, ndarray], name: str) -> None:
        super().__init__(parameters, name)
        self.cache: GruCache

    @override
    def activation_of(self, gate: str) -> Activation:
        return ACTIVATIONS["tanh" if gate == "n" else "sigmoid"]

    def recurrent_block(self, gate: str) -> ndarray:
        """A gate's block of W_hh as it is used: (H, H)."""
        return self.block(self.recurrent_weights(), gate)

    # -- forward -----------------------------------------------------------------------------------------------------

    def under_reset(self, before: ndarray) -> ndarray:
        """q_t, the factor of the reset gate, from h_{t-1} (B, H): (B, H)."""
        raise NotImplementedError

    def recurrent_candidate(self, product: ndarray) -> ndarray:
        """The term of r_t ⊙ q_t (B, H) in the candidate's pre-activation: (B, H)."""
        raise NotImplementedError

    def kept(self, z: ndarray) -> ndarray:
        """The share of the old state that is kept, from z_t (…, H): (…, H)."""
        del self
        return z

    def reset(self) -> ndarray:
        """r_t on the way back: (T, B, H)."""
        return self.value_of("r")

    def product(self, r: ndarray, q: ndarray) -> ndarray:
        """r_t ⊙ q_t: (B, H)."""
        del self
        return r * q

    @override
    def forward(self, x: ndarray) -> ndarray:
        pre = np.array(self.from_inputs(x))  # (T, B, 3H)
        values = np.empty_like(pre)  # (T, B, 3H)
        shape = (*pre.shape[:2], self.h0.shape[-1])
        before, after, under_reset = (np.empty(shape, pre.dtype) for _ in range(3))  # (T, B, H) each
        functions = {gate: self.activation_of(gate).value for gate in self.gates}
        of_gates = {gate: self.recurrent_block(gate) for gate in ("r", "z")}  # (H, H) each
        state = self.start()  # (B, H)
        for t in range(len(x)):
            before[t] = state
            for gate, matrix in of_gates.items():
                argument = self.block(pre[t], gate)
                argument += state @ matrix
                functions[gate](argument, self.block(values[t], gate))
            r, z, n = (self.block(values[t], gate) for gate in self.gates)  # (B, H) each
            under_reset[t] = self.under_reset(state)
            argument = self.block(pre[t], "n")
            argument += self.recurrent_candidate(self.product(r, under_reset[t]))
            functions["n"](argument, n)
            after[t] = (1 - self.kept(z)) * n + self.kept(z) * state
            state = self.next_start(after[t])
        self.cache = GruCache(x, before, pre, values, after, under_reset)
        return after

    @override
    def taken(self, cache: GruCache) -> GruCache:
        return cache._replace(under_reset=self.under_reset(cache.before))

    # -- backward ----------------------------------------------------------------------------------------------------

    def to_candidate(self, d_state: ndarray, t: Step) -> ndarray:
        """The gradient of n_t from dh_t (B, H): (B, H)."""
        return d_state * (1 - self.kept(self.value_of("z")[t]))

    def to_update_gate(self, d_state: ndarray, t: Step) -> ndarray:
        """The gradient of z_t from dh_t (B, H): (B, H)."""
        return d_state * (self.cache.before[t] - self.value_of("n")[t])

    def to_product(self, delta_n: ndarray) -> ndarray:
        """ρ_t, the gradient of r_t ⊙ q_t, from δ^n_t (B, H): (B, H)."""
        raise NotImplementedError

    def to_reset_gate(self, d_product: ndarray, t: Step) -> ndarray:
        """The gradient of r_t from ρ_t (B, H): (B, H)."""
        return d_product * self.cache.under_reset[t]

    @override
    def at_values(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        d_state = self.total(g, carried, t)  # (B, H)
        of_n = self.to_candidate(d_state, t)  # (B, H)
        of_r = self.to_reset_gate(self.to_product(of_n * self.block(self.slopes[t], "n")), t)  # (B, H)
        return np.concatenate([of_r, self.to_update_gate(d_state, t), of_n], axis=-1)

    def directly(self, d_state: ndarray, t: Step) -> ndarray:
        """The direct part of the gradient of h_{t-1} from dh_t (B, H): (B, H)."""
        return d_state * self.kept(self.value_of("z")[t])

    def through_candidate(self, delta_n: ndarray, t: Step) -> ndarray:
        """The gradient of h_{t-1} from δ^n_t (B, H): (B, H)."""
        raise NotImplementedError

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        H = self.h0.shape[-1]
        through_gates = delta[..., : 2 * H] @ self.weights_back(t)[: 2 * H]  # (B, H)
        through_n = self.through_candidate(self.block(delta, "n"), t)  # (B, H)
        return self.directly(self.total(g, carried, t), t) + through_gates + through_n

    def of_candidate(self, delta_n: ndarray) -> tuple[ndarray, ndarray]:
        """The two factors of the gradient of W_hn, (T, B, H) each, from δ^n (T, B, H)."""
        raise NotImplementedError

    @override
    def products(self, delta: ndarray) -> Products:
        H = self.h0.shape[-1]
        of_gates = (self.state_operand(), delta[..., : 2 * H])
        return {**super().products(delta), "W_hh": [of_gates, self.of_candidate(self.block(delta, "n"))]}


class GruAfterLayer(GruLayer):
    """One gru layer with its reset gate after the recurrent product.

    Attributes:
        b_hn: the recurrent bias of the candidate, (H,).
    """

    def __init__(self, parameters: Mapping[str, ndarray], name: str) -> None:
        super().__init__(parameters, name)
        self.b_hn = parameters["b_hn"]

    def recurrent_bias(self) -> ndarray:
        """b_hn as it is used under the reset gate: (H,)."""
        return self.b_hn

    @override
    def under_reset(self, before: ndarray) -> ndarray:
        return before @ self.recurrent_block("n") + self.recurrent_bias()

    @override
    def recurrent_candidate(self, product: ndarray) -> ndarray:
        return product

    @override
    def to_product(self, delta_n: ndarray) -> ndarray:
        return delta_n

    @override
    def through_candidate(self, delta_n: ndarray, t: Step) -> ndarray:
        H = self.h0.shape[-1]
        return (delta_n * self.reset()[t]) @ self.weights_back(t)[2 * H :]

    @override
    def of_candidate(self, delta_n: ndarray) -> tuple[ndarray, ndarray]:
        return self.state_operand(), delta_n * self.reset()

    def of_recurrent_bias(self, delta_n: ndarray) -> ndarray:
        """The terms of the gradient of b_hn, from δ^n (T, B, H): (T, B, H)."""
        return delta_n * self.reset()

    @override
    def products(self, delta: ndarray) -> Products:
        return {**super().products(delta), "b_hn": [(None, self.of_recurrent_bias(self.block(delta, "n")))]}


class GruBeforeLayer(GruLayer):
    """One gru layer with its reset gate before the recurrent product."""

    @override
    def under_reset(self, before: ndarray) -> ndarray:
        return before

    @override
    def recurrent_candidate(self, product: ndarray) -> ndarray:
        return product @ self.recurrent_block("n")

    @override
    def to_product(self, delta_n: ndarray) -> ndarray:
        H = self.h0.shape[-1]
        return delta_n @ self.weights_back(EVERY)[2 * H :]

    @override
    def through_candidate(self, delta_n: ndarray, t: Step) -> ndarray:
        return self.to_product(delta_n) * self.reset()[t]

    @override
    def of_candidate(self, delta_n: ndarray) -> tuple[ndarray, ndarray]:
        return self.state_operand() * self.reset(), delta_n
