r"""One gru layer with concatenated weights, in both variants: a W over [input, state], as far as the gru lets it.

The functions are the two of ``gru_split``, derived again in another way, so that the two derivations check each other:
the unknowns of the backward recursion are the multipliers of a Lagrangian (the adjoint states of optimal control;
LeCun 1988, "A theoretical framework for back-propagation").

One matrix can store the weights: W = [W_xh; W_hh], (I + H, 3H), with the columns of r, z and n. But a single product
with it, as in an rnn or an lstm, is not possible; each variant has a reason of its own.

Reset before. The candidate's columns are multiplied with another row than the gates' columns, because the state in it
was reset. So there are two rows and two products, one after the other (TF1's GRUCell has two kernels for that reason).
In both, input rows and state rows stay together:

    v_t = [x_t, h_{t-1}]                        (B, I + H)
    r_t, z_t = σ(v_t W_rz + b_rz)               (B, H) each; W_rz the first 2H columns of W
    k_t = r_t ⊙ h_{t-1}                         (B, H)
    w_t = [x_t, k_t]                            (B, I + H)
    n_t = φ(w_t W_n + b_n)                      (B, H); W_n the last H columns of W
    h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t-1}       (B, H)

Reset after. All columns are multiplied with v_t, but r_t multiplies only the state's part of the candidate and not the
input's part. In v_t W_n the two are already added, so it is of no use. One product with four column blocks in place of
three keeps them apart. The candidate's input rows and state rows have a block each, with zeros beside them, and b_hn is
the fourth block's bias:

    [ W_xr  W_xz  W_xn  0    ]
    [ W_hr  W_hz  0     W_hn ]  =: V            (I + H, 4H)

    [a^r_t, a^z_t, p_t, q_t] = v_t V + [b, b_hn]            (B, 4H)
    r_t, z_t = σ(a^r_t), σ(a^z_t)               (B, H) each
    n_t = φ(p_t + r_t ⊙ q_t)                    (B, H)
    h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t-1}       (B, H)

V is made of W. Its zeros are not weights, so the gradient at these places is dropped.

Backward. λ_t is the multiplier of h_t, and for reset before κ_t that of the reset state k_t. The Lagrangians are

    L(h) + Σ_t ⟨λ_t, (1 − z(v_t)) ⊙ n(w_t) + z(v_t) ⊙ h_{t-1} − h_t⟩ + Σ_t ⟨κ_t, r(v_t) ⊙ h_{t-1} − k_t⟩     before
    L(h) + Σ_t ⟨λ_t, (1 − z(v_t)) ⊙ n(v_t) + z(v_t) ⊙ h_{t-1} − h_t⟩                                          after

Let ψ_t be the Lagrangian's derivative by the pre-activations, with W_h, V_h the last H rows of W, V, and g_t = ∂L/∂h_t
from outside the layer. In both, with the superscripts r, z, n for the columns:

    ψ^n_t = λ_t ⊙ (1 − z_t) ⊙ φ'_t              (B, H)
    ψ^z_t = λ_t ⊙ (h_{t-1} − n_t) ⊙ σ'(a^z_t)   (B, H)

Before: stationary in k_t, which w_t holds, and in h_t, which stands in both constraints of the next step:

    κ_t = ψ^n_t (W_h^n)ᵀ                        (B, H)
    ψ^r_t = κ_t ⊙ h_{t-1} ⊙ σ'(a^r_t)           (B, H)
    λ_t = g_t + λ_{t+1} ⊙ z_{t+1} + κ_{t+1} ⊙ r_{t+1} + [ψ^r_{t+1}, ψ^z_{t+1}] (W_h^rz)ᵀ      (B, H)
    dW = [Σ_t v_tᵀ [ψ^r_t, ψ^z_t], Σ_t w_tᵀ ψ^n_t]          (I + H, 3H)

After: p_t has ψ^n_t, and q_t has it times r_t; stationary in h_t:

    ψ^r_t = ψ^n_t ⊙ q_t ⊙ σ'(a^r_t)             (B, H)
    ψ_t = [ψ^r_t, ψ^z_t, ψ^n_t, ψ^n_t ⊙ r_t]    (B, 4H)
    λ_t = g_t + λ_{t+1} ⊙ z_{t+1} + ψ_{t+1} V_hᵀ            (B, H)
    dV = Σ_t v_tᵀ ψ_t                           (I + H, 4H); dW is dV without the blocks where V has zeros
    db_hn = Σ_t Σ_B ψ^n_t ⊙ r_t                 (H,)

In both, λ_{T+1} = ψ_{T+1} = κ_{T+1} = 0, db = Σ_t Σ_B [ψ^r_t, ψ^z_t, ψ^n_t], (3H,), dx_t = [ψ^r_t, ψ^z_t, ψ^n_t] W_xᵀ,
(B, I), with W_x the first I rows of W, and dh_0 = λ_0 with g_0 = 0.

Truncated (``truncation``), the constraints of a chunk's first step t take h_{t-1} for a number, not a variable, so that
λ_{t-1} = g_{t-1}.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls.activations import ACTIVATIONS, Activation
from reference_impls.layer import Layer


class GruConcatenatedCache(NamedTuple):
    """The values of the forward pass that the backward pass needs, in either variant."""

    v: ndarray  # (T + 1, B, I + H): v_1 … v_T, and behind them a row that holds h_T and no input
    r: ndarray  # (T, B, H)
    z: ndarray  # (T, B, H)
    n: ndarray  # (T, B, H)
    under_reset: ndarray  # (T, B, H), multiplied by r_t: h_{t-1} before, q_t after
    W: ndarray  # (I + H, 3H)
    activation: Activation
    gate_activation: Activation

    @property
    def states(self) -> ndarray:
        """h_0, h_1, …, h_T: (T + 1, B, H)."""
        return self.v[:, :, -self.r.shape[2] :]

    @property
    def outputs(self) -> ndarray:
        """h_1, …, h_T: (T, B, H)."""
        return self.states[1:]

    @property
    def last(self) -> tuple[ndarray]:
        """h_T: (B, H)."""
        return (self.states[-1],)


def forward_before(
    x: ndarray,
    h0: ndarray,
    weights: Mapping[str, ndarray],
    *,
    activation: Activation = ACTIVATIONS["tanh"],
    gate_activation: Activation = ACTIVATIONS["sigmoid"],
) -> GruConcatenatedCache:
    """Run a layer with the reset before the product over a whole sequence.

    Args:
        x: Inputs, (T, B, I).
        h0: The state before the first step, (B, H).
        weights: W (I + H, 3H), the rows for the inputs first, and b (3H,), by name, each with the columns of r, z and
            n side by side.
        activation: φ.
        gate_activation: σ.

    Returns:
        The cache; its ``outputs`` are h_1 … h_T, (T, B, H).
    """
    W, b = weights["W"], weights["b"]  # (I + H, 3H), (3H,)
    T, B, I = x.shape
    H = W.shape[1] // 3
    phi, sigma = activation.value, gate_activation.value
    W_h_rz, W_h_n = W[I:, : 2 * H], W[I:, 2 * H :]  # (H, 2H), (H, H): views

    v, from_inputs = _rows(x, h0, W), x.reshape(T * B, I) @ W[:I] + b  # (T + 1, B, I + H), (T·B, 3H)
    r, z, n = np.empty((3, T, B, H), W.dtype)  # (T, B, H) each
    for t in range(T):
        h, pre = v[t, :, I:], from_inputs[t * B : (t + 1) * B]  # (B, H), (B, 3H): a view, from the inputs alone
        pre[:, : 2 * H] += h @ W_h_rz  # (B, 2H)
        sigma(pre[:, :H], r[t])  # (B, H)
        sigma(pre[:, H : 2 * H], z[t])  # (B, H)
        pre[:, 2 * H :] += (r[t] * h) @ W_h_n  # (B, H)
        phi(pre[:, 2 * H :], n[t])  # (B, H)
        v[t + 1, :, I:] = (1 - z[t]) * n[t] + z[t] * h  # (B, H)
    return GruConcatenatedCache(v, r, z, n, v[:T, :, I:], W, activation, gate_activation)


def backward_before(
    cache: GruConcatenatedCache, d_outputs: ndarray, starts: Container[int] = ()
) -> tuple[ndarray, ndarray, dict[str, ndarray]]:
    """Carry the gradient from the layer's outputs back to all of its inputs, reset before the product.

    Args:
        cache: The cache that ``forward_before`` returned.
        d_outputs: g, the gradient of every state h_1 … h_T from outside the layer, (T, B, H).
        starts: The steps for which the state before them is a constant, counted from 0 and never the first
            (``truncation``); none for the full gradient.

    Returns:
        d_x (T, B, I), d_h0 (B, H), and the gradients of the weights by name, each of its weight's shape.
    """
    T, B, H = d_outputs.shape
    I = cache.W.shape[0] - H
    W_h_rzT, W_h_nT = cache.W[I:, : 2 * H].T, cache.W[I:, 2 * H :].T  # (2H, H), (H, H): views
    r_jacobian, z_jacobian, n_jacobian = _jacobians(cache)  # (T, B, H) each

    psi = np.empty((T, B, 3 * H), d_outputs.dtype)  # (T, B, 3H): ψ_1 … ψ_T
    adjoint = np.zeros((B, H), d_outputs.dtype)  # (B, H): λ_{T+1}, and what of λ_t comes from step t + 1
    for t in range(T - 1, -1, -1):
        adjoint = adjoint + d_outputs[t]  # (B, H): λ_t
        psi_n = adjoint * n_jacobian[t]  # (B, H)
        of_reset_state = psi_n @ W_h_nT  # (B, H): κ_t
        psi_rz = np.concatenate([of_reset_state * r_jacobian[t], adjoint * z_jacobian[t]], axis=-1)  # (B, 2H)
        psi[t, :, : 2 * H], psi[t, :, 2 * H :] = psi_rz, psi_n
        adjoint = adjoint * cache.z[t] + of_reset_state * cache.r[t] + psi_rz @ W_h_rzT  # (B, H)
        if t in starts:
            adjoint = np.zeros_like(adjoint)  # (B, H): step t took the state before it for a number

    w = cache.v[:T].copy()  # (T, B, I + H): w_1 … w_T
    w[:, :, I:] *= cache.r
    v, w, psi = (each.reshape(T * B, -1) for each in (cache.v[:T], w, psi))  # (T·B, I + H) twice, (T·B, 3H)
    gradients = {
        "W": np.concatenate([v.T @ psi[:, : 2 * H], w.T @ psi[:, 2 * H :]], axis=1),  # (I + H, 3H)
        "b": psi.sum(axis=0),  # (3H,)
    }
    d_x = (psi @ cache.W[:I].T).reshape(T, B, I)  # (T, B, I)
    return d_x, adjoint, gradients


def forward_after(
    x: ndarray,
    h0: ndarray,
    weights: Mapping[str, ndarray],
    *,
    activation: Activation = ACTIVATIONS["tanh"],
    gate_activation: Activation = ACTIVATIONS["sigmoid"],
) -> GruConcatenatedCache:
    """Run a layer with the reset after the product over a whole sequence.

    Args:
        x: Inputs, (T, B, I).
        h0: The state before the first step, (B, H).
        weights: W (I + H, 3H), the rows for the inputs first, and b (3H,), by name, each with the columns of r, z and
            n side by side, and b_hn (H,).
        activation: φ.
        gate_activation: σ.

    Returns:
        The cache; its ``outputs`` are h_1 … h_T, (T, B, H).
    """
    W, b, b_hn = (weights[name] for name in ("W", "b", "b_hn"))  # (I + H, 3H), (3H,), (H,)
    T, B, I = x.shape
    H = W.shape[1] // 3
    phi, sigma = activation.value, gate_activation.value
    V = _four_blocks(W)  # (I + H, 4H)

    v = _rows(x, h0, W)  # (T + 1, B, I + H)
    from_inputs = x.reshape(T * B, I) @ V[:I] + np.concatenate([b, b_hn])  # (T·B, 4H)
    r, z, n, q = np.empty((4, T, B, H), W.dtype)  # (T, B, H) each
    for t in range(T):
        h = v[t, :, I:]  # (B, H)
        pre = from_inputs[t * B : (t + 1) * B] + h @ V[I:]  # (B, 4H)
        sigma(pre[:, :H], r[t])  # (B, H)
        sigma(pre[:, H : 2 * H], z[t])  # (B, H)
        q[t] = pre[:, 3 * H :]  # (B, H)
        phi(pre[:, 2 * H : 3 * H] + r[t] * q[t], n[t])  # (B, H)
        v[t + 1, :, I:] = (1 - z[t]) * n[t] + z[t] * h  # (B, H)
    return GruConcatenatedCache(v, r, z, n, q, W, activation, gate_activation)


def backward_after(
    cache: GruConcatenatedCache, d_outputs: ndarray, starts: Container[int] = ()
) -> tuple[ndarray, ndarray, dict[str, ndarray]]:
    """Carry the gradient from the layer's outputs back to all of its inputs, reset after the product.

    Args:
        cache: The cache that ``forward_after`` returned.
        d_outputs: g, the gradient of every state h_1 … h_T from outside the layer, (T, B, H).
        starts: The steps for which the state before them is a constant, counted from 0 and never the first
            (``truncation``); none for the full gradient.

    Returns:
        d_x (T, B, I), d_h0 (B, H), and the gradients of the weights by name, each of its weight's shape.
    """
    T, B, H = d_outputs.shape
    I = cache.W.shape[0] - H
    V_hT = _four_blocks(cache.W)[I:].T  # (4H, H)
    r_jacobian, z_jacobian, n_jacobian = _jacobians(cache)  # (T, B, H) each

    psi = np.empty((T, B, 4 * H), d_outputs.dtype)  # (T, B, 4H): ψ_1 … ψ_T
    adjoint = np.zeros((B, H), d_outputs.dtype)  # (B, H): λ_{T+1}, and what of λ_t comes from step t + 1
    for t in range(T - 1, -1, -1):
        adjoint = adjoint + d_outputs[t]  # (B, H): λ_t
        psi_n = adjoint * n_jacobian[t]  # (B, H)
        np.concatenate(
            [psi_n * r_jacobian[t], adjoint * z_jacobian[t], psi_n, psi_n * cache.r[t]], axis=-1, out=psi[t]
        )  # (B, 4H): ψ_t
        adjoint = adjoint * cache.z[t] + psi[t] @ V_hT  # (B, H)
        if t in starts:
            adjoint = np.zeros_like(adjoint)  # (B, H): step t took the state before it for a number

    rows = psi.reshape(T * B, 4 * H)  # (T·B, 4H)
    d_V = cache.v[:T].reshape(T * B, I + H).T @ rows  # (I + H, 4H)
    d_W = d_V[:, : 3 * H].copy()  # (I + H, 3H)
    d_W[I:, 2 * H :] = d_V[I:, 3 * H :]  # (H, H)
    d_biases = rows.sum(axis=0)  # (4H,)
    gradients = {"W": d_W, "b": d_biases[: 3 * H], "b_hn": d_biases[3 * H :]}
    d_x = (rows[:, : 3 * H] @ cache.W[:I].T).reshape(T, B, I)  # (T, B, I)
    return d_x, adjoint, gradients


def _rows(x: ndarray, h0: ndarray, W: ndarray) -> ndarray:
    """Return v_1 … v_T with the inputs and h_0 filled in, and a row behind them: (T + 1, B, I + H)."""
    T, B, I = x.shape
    v = np.zeros((T + 1, B, W.shape[0]), W.dtype)  # (T + 1, B, I + H)
    v[:T, :, :I] = x
    v[0, :, I:] = h0
    return v


def _four_blocks(W: ndarray) -> ndarray:
    """Return V, (I + H, 4H): W with the candidate's input rows and state rows in columns of their own."""
    H = W.shape[1] // 3
    I = W.shape[0] - H
    V = np.zeros((I + H, 4 * H), W.dtype)  # (I + H, 4H)
    V[:, : 2 * H] = W[:, : 2 * H]  # (I + H, 2H)
    V[:I, 2 * H : 3 * H] = W[:I, 2 * H :]  # (I, H)
    V[I:, 3 * H :] = W[I:, 2 * H :]  # (H, H)
    return V


def _jacobians(cache: GruConcatenatedCache) -> tuple[ndarray, ndarray, ndarray]:
    """Return the factors of λ_t (for r, of κ_t before and ψ^n_t after) in ψ^r, ψ^z and ψ^n: (T, B, H) each."""
    sigma_slope = cache.gate_activation.slope_at_value
    return (
        cache.under_reset * sigma_slope(cache.r),
        (cache.states[:-1] - cache.n) * sigma_slope(cache.z),
        (1 - cache.z) * cache.activation.slope_at_value(cache.n),
    )


RESETS = {
    "after": Layer(("W", "b", "b_hn"), ("h0",), forward_after, backward_after),
    "before": Layer(("W", "b"), ("h0",), forward_before, backward_before),
}
"""The two variants by their names in case files."""
