r"""One gru layer with split weights, in both variants: the reset gate before, or after, the recurrent product.

Forward, for t = 1 … T, from a given h_0. The gates r (reset) and z (update) and the candidate n each have a third of
the columns of W_xh and W_hh; W_hr, W_hz and W_hn are the thirds of W_hh:

    [a^r_t, a^z_t] = x_t [W_xr, W_xz] + h_{t-1} [W_hr, W_hz] + [b_r, b_z]       (B, 2H)
    r_t, z_t = σ(a^r_t), σ(a^z_t)               (B, H) each

    reset before (Cho et al. 2014, "Learning phrase representations using RNN encoder–decoder"):
    a^n_t = x_t W_xn + (r_t ⊙ h_{t-1}) W_hn + b_n           (B, H)

    reset after (cuDNN's; torch's only one, and Keras' default):
    a^n_t = x_t W_xn + b_n + r_t ⊙ (h_{t-1} W_hn + b_hn)    (B, H)

    n_t = φ(a^n_t)                              (B, H)
    h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t-1}       (B, H)

σ is the sigmoid, φ is tanh. That z_t keeps the old state is the convention of Cho et al., torch and Keras; in Chung et
al. 2014, "Empirical evaluation of gated recurrent neural networks on sequence modeling", 1 − z_t keeps it.

The two variants are two functions: as soon as H > 1, weights of one have in general no equivalent in the other. Reset
after needs one product with W_hh a step where reset before needs two, one after the other; and it has one more bias,
b_hn, which r_t multiplies, so that it cannot be folded into b_n.

Write q_t for what r_t multiplies: h_{t-1} before, h_{t-1} W_hn + b_hn after.

Backward. Let g_t = ∂L/∂h_t be the gradient that reaches h_t from outside the layer, dh_t the whole one, and δ_t =
[δ^r_t, δ^z_t, δ^n_t] = dL/da_t. From the formula of h_t:

    δ^n_t = dh_t ⊙ (1 − z_t) ⊙ φ'(a^n_t)        (B, H)
    δ^z_t = dh_t ⊙ (h_{t-1} − n_t) ⊙ σ'(a^z_t)  (B, H)

r_t acts through r_t ⊙ q_t alone. Write ρ_t for the gradient of that product:

    ρ_t = δ^n_t W_hnᵀ  before,  δ^n_t  after    (B, H)
    δ^r_t = ρ_t ⊙ q_t ⊙ σ'(a^r_t)               (B, H)

h_{t-1} acts on h_t in three ways: directly, through the gates, and through q_t:

    dh_{t-1} = g_{t-1} + dh_t ⊙ z_t + [δ^r_t, δ^z_t] [W_hr, W_hz]ᵀ + ρ_t ⊙ r_t                (B, H)  before
    dh_{t-1} = g_{t-1} + dh_t ⊙ z_t + [δ^r_t, δ^z_t] [W_hr, W_hz]ᵀ + (δ^n_t ⊙ r_t) W_hnᵀ      (B, H)  after

dh_0 is the same with g_0 = 0. With ε_t = [δ^r_t, δ^z_t, δ^n_t ⊙ r_t], (B, 3H), the last two terms of reset after are
the one product ε_t W_hhᵀ. The weights' gradients:

    dW_xh = Σ_t x_tᵀ δ_t                        (I, 3H)
    db_h  = Σ_t Σ_B δ_t                         (3H,)
    dx_t  = δ_t W_xhᵀ                           (B, I)

    before:  [dW_hr, dW_hz] = Σ_t h_{t-1}ᵀ [δ^r_t, δ^z_t]   (H, 2H)
             dW_hn = Σ_t (r_t ⊙ h_{t-1})ᵀ δ^n_t             (H, H)
    after:   dW_hh = Σ_t h_{t-1}ᵀ ε_t                       (H, 3H)
             db_hn = Σ_t Σ_B δ^n_t ⊙ r_t                    (H,)

Truncated (``truncation``), the state that a chunk's first step t starts from is a constant: dh_{t-1} = g_{t-1} there.
A window is a sum of passes with such chunks.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls.activations import ACTIVATIONS, Activation
from reference_impls.layer import Layer


class GruSplitCache(NamedTuple):
    """The values of the forward pass that the backward pass needs."""

    x: ndarray  # (T, B, I)
    gates: ndarray  # (T, B, 3H): r_t, z_t, n_t
    states: ndarray  # (T + 1, B, H): h_0, h_1, …, h_T
    under_reset: ndarray  # (T, B, H): q_1, …, q_T
    W_xh: ndarray  # (I, 3H)
    W_hh: ndarray  # (H, 3H)
    after: bool  # True if the reset is after the product
    activation: Activation
    gate_activation: Activation

    @property
    def outputs(self) -> ndarray:
        """h_1, …, h_T: (T, B, H)."""
        return self.states[1:]

    @property
    def last(self) -> tuple[ndarray]:
        """h_T: (B, H)."""
        return (self.states[-1],)


def forward(
    x: ndarray,
    h0: ndarray,
    weights: Mapping[str, ndarray],
    *,
    activation: Activation = ACTIVATIONS["tanh"],
    gate_activation: Activation = ACTIVATIONS["sigmoid"],
) -> GruSplitCache:
    """Run the layer over a whole sequence.

    Args:
        x: Inputs, (T, B, I).
        h0: The state before the first step, (B, H).
        weights: W_xh (I, 3H), W_hh (H, 3H), b_h (3H,), by name, each with the columns of r, z and n side by side; with
            b_hn (H,) the reset is after the product, without it before.
        activation: φ.
        gate_activation: σ.

    Returns:
        The cache; its ``outputs`` are h_1 … h_T, (T, B, H).
    """
    W_xh, W_hh, b_h = weights["W_xh"], weights["W_hh"], weights["b_h"]  # (I, 3H), (H, 3H), (3H,)
    b_hn = weights.get("b_hn")  # (H,)
    T, B, I = x.shape
    H = W_hh.shape[0]
    phi, sigma = activation.value, gate_activation.value
    W_hrz, W_hn = W_hh[:, : 2 * H], W_hh[:, 2 * H :]  # (H, 2H), (H, H): views

    gates = (x.reshape(T * B, I) @ W_xh).reshape(T, B, 3 * H)  # (T, B, 3H)
    gates += b_h  # (T, B, 3H): a_t without its recurrent part
    states = np.empty((T + 1, B, H), gates.dtype)  # (T + 1, B, H)
    states[0] = h0  # (B, H)
    under_reset = states[:-1] if b_hn is None else np.empty((T, B, H), gates.dtype)  # (T, B, H): before, q_t is h_{t-1}
    recurrent = np.empty((B, 3 * H), gates.dtype)  # (B, 3H)
    squashed = np.empty((B, 2 * H), gates.dtype)  # (B, 2H): r_t, z_t in one piece, for which σ is faster
    reset, kept = np.empty((2, B, H), gates.dtype)  # (B, H) each: r_t ⊙ q_t, z_t ⊙ h_{t-1}
    for t in range(T):
        h, q, new = states[t], under_reset[t], states[t + 1]  # (B, H) each
        r_and_z, n = gates[t, :, : 2 * H], gates[t, :, 2 * H :]  # (B, 2H), (B, H): views of a_t, to become the gates
        r, z = r_and_z[:, :H], r_and_z[:, H:]  # (B, H), (B, H): views
        if b_hn is None:
            r_and_z += h @ W_hrz  # (B, 2H)
            r_and_z[:] = sigma(r_and_z, squashed)
            n += np.multiply(r, q, out=reset) @ W_hn  # (B, H)
        else:
            np.matmul(h, W_hh, out=recurrent)  # (B, 3H)
            r_and_z += recurrent[:, : 2 * H]
            r_and_z[:] = sigma(r_and_z, squashed)
            np.add(recurrent[:, 2 * H :], b_hn, out=q)  # (B, H)
            n += np.multiply(r, q, out=reset)  # (B, H)
        phi(n, n)
        np.subtract(1, z, out=new)
        new *= n
        new += np.multiply(z, h, out=kept)  # (B, H): (1 − z_t) ⊙ n_t + z_t ⊙ h_{t-1}
    return GruSplitCache(x, gates, states, under_reset, W_xh, W_hh, b_hn is not None, activation, gate_activation)


def backward(
    cache: GruSplitCache, d_outputs: ndarray, starts: Container[int] = ()
) -> tuple[ndarray, ndarray, dict[str, ndarray]]:
    """Carry the gradient from the layer's outputs back to all of its inputs.

    Args:
        cache: The cache that ``forward`` returned.
        d_outputs: g, the gradient of every state h_1 … h_T from outside the layer, (T, B, H).
        starts: The steps for which the state before them is a constant, counted from 0 and never the first
            (``truncation``); none for the full gradient.

    Returns:
        d_x (T, B, I), d_h0 (B, H), and the gradients of the weights by name, each of its weight's shape; ``b_hn`` is
        among them if the reset is after the product.
    """
    T, B, H = d_outputs.shape
    I = cache.x.shape[2]
    W_hhT = cache.W_hh.T  # (3H, H)
    W_hrzT, W_hnT = W_hhT[: 2 * H], W_hhT[2 * H :]  # (2H, H), (H, H): views
    phi_slope, sigma_slope = cache.activation.slope_at_value, cache.gate_activation.slope_at_value
    r, z, n = (cache.gates[:, :, k * H : (k + 1) * H] for k in range(3))  # (T, B, H) each
    before = cache.states[:-1]  # (T, B, H): h_0, …, h_{T-1}

    delta = sigma_slope(cache.gates)  # (T, B, 3H): the factors of ρ_t or dh_t, to become δ_t
    of_r, of_z, of_n = (delta[:, :, k * H : (k + 1) * H] for k in range(3))  # (T, B, H) each: views
    of_r *= cache.under_reset
    of_z *= before - n
    np.multiply(1 - z, phi_slope(n), out=of_n)  # n is squashed by φ, not by σ
    recurrent = np.empty_like(delta)  # (T, B, 3H): ε_t, with reset after
    d_before = np.empty((B, H), d_outputs.dtype)  # (B, H): the part of dh_{t-1} through the product

    d_state = np.zeros((B, H), d_outputs.dtype)  # (B, H): the part of dh_t from later steps, to become dh_t
    for t in reversed(range(T)):
        d_state += d_outputs[t]  # (B, H)
        of_z[t] *= d_state
        of_n[t] *= d_state
        d_state *= z[t]  # (B, H)
        if cache.after:
            of_r[t] *= of_n[t]
            recurrent[t] = delta[t]
            recurrent[t, :, 2 * H :] *= r[t]
            d_state += np.matmul(recurrent[t], W_hhT, out=d_before)  # (B, H)
        else:
            d_product = of_n[t] @ W_hnT  # (B, H): ρ_t
            of_r[t] *= d_product
            d_state += delta[t, :, : 2 * H] @ W_hrzT + d_product * r[t]  # (B, H)
        if t in starts:
            d_state[:] = 0  # (B, H): step t started from a constant
    d_h0 = d_state  # (B, H)

    rows = delta.reshape(T * B, 3 * H)  # (T·B, 3H)
    gradients = {
        "W_xh": cache.x.reshape(T * B, I).T @ rows,  # (I, 3H)
        "b_h": rows.sum(axis=0),  # (3H,)
    }
    beforeT = before.reshape(T * B, H).T  # (H, T·B)
    if cache.after:
        gradients["W_hh"] = beforeT @ recurrent.reshape(T * B, 3 * H)  # (H, 3H)
        gradients["b_hn"] = recurrent[:, :, 2 * H :].sum(axis=(0, 1))  # (H,)
    else:
        resetT = (r * before).reshape(T * B, H).T  # (H, T·B)
        of_gates, of_candidate = rows[:, : 2 * H], rows[:, 2 * H :]  # (T·B, 2H), (T·B, H)
        gradients["W_hh"] = np.concatenate([beforeT @ of_gates, resetT @ of_candidate], axis=1)  # (H, 3H)
    d_x = (rows @ cache.W_xh.T).reshape(T, B, I)  # (T, B, I)
    return d_x, d_h0, gradients


RESETS = {
    "after": Layer(("W_xh", "W_hh", "b_h", "b_hn"), ("h0",), forward, backward),
    "before": Layer(("W_xh", "W_hh", "b_h"), ("h0",), forward, backward),
}
"""The two variants by their names in case files."""
