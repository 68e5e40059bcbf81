r"""One vanilla recurrent layer with concatenated weights: a single W over [input, state].

The function is that of ``rnn_split``, derived again in another way, so that the two derivations check each other. In
``rnn_split`` the unknown of the backward recursion is the gradient δ_t of the pre-activation. Here it is the gradient
λ_t of the state itself (the adjoint state of optimal control; LeCun 1988, "A theoretical framework for
back-propagation").

Forward, for t = 1 … T, from a given h_0:

    z_t = [x_t, h_{t-1}]                        (B, I + H)
    h_t = φ(z_t W + b)                          (B, H) = φ((B, I + H)(I + H, H) + (H,))

Backward. Take the forward equations as constraints and give each a multiplier: the Lagrangian is

    L(h) + Σ_t ⟨λ_t, φ(z_t W + b) − h_t⟩

Stationary in h_t, with W_h the last H rows of W and g_t = ∂L/∂h_t from outside the layer:

    λ_t = g_t + (λ_{t+1} ⊙ φ'_{t+1}) W_hᵀ       (B, H),  λ_{T+1} = 0

The Lagrangian's derivatives by all variables except the states are the gradients. With ψ_t = λ_t ⊙ φ'_t, (B, H):

    dW = Σ_t z_tᵀ ψ_t                           (I + H, H): input rows and state rows at once
    db = Σ_t Σ_B ψ_t                            (H,)
    dx_t = ψ_t W_xᵀ                             (B, I),  W_x the first I rows of W
    dh_0 = ψ_1 W_hᵀ                             (B, H): λ_0, with g_0 = 0

One array has the z_t of all steps. Its input part is filled before the loop, and the loop writes each new state into
its state part. So [x_t, h_{t-1}] is never assembled, and dW is one matrix product.

Truncated (``truncation``), the Lagrangian loses terms. If the state is detached every k steps, it is a number, not a
variable, in the constraint of a chunk's first step. So λ_t has no term of a step t + 1 that k divides. In a window,
each L_τ has a Lagrangian of its own, over the constraints of the steps τ − k … τ alone, with multipliers λ_{t,d}, d = τ
− t. The gradient is the sum over all of these:

    λ_{t,d} = g_{t,d} + (λ_{t+1,d-1} ⊙ φ'_{t+1}) W_hᵀ       (B, H),  d = 0 … k;   λ_t = Σ_d λ_{t,d}
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls.activations import Activation

WEIGHTS = ("W", "b")
STATES = ("h0",)


class RnnConcatenatedCache(NamedTuple):
    """The values of the forward pass that the backward pass needs."""

    z: ndarray  # (T + 1, B, I + H): z_1 … z_T, and behind them a row that holds h_T and no input
    W: ndarray  # (I + H, H)
    activation: Activation

    @property
    def states(self) -> ndarray:
        """h_0, h_1, …, h_T: (T + 1, B, H)."""
        return self.z[:, :, -self.W.shape[1] :]

    @property
    def outputs(self) -> ndarray:
        """h_1, …, h_T: (T, B, H)."""
        return self.states[1:]

    @property
    def last(self) -> tuple[ndarray]:
        """h_T: (B, H)."""
        return (self.states[-1],)


def forward(x: ndarray, h0: ndarray, weights: Mapping[str, ndarray], *, activation: Activation) -> RnnConcatenatedCache:
    """Run the layer over a whole sequence.

    Args:
        x: Inputs, (T, B, I).
        h0: The state before the first step, (B, H).
        weights: W (I + H, H), the rows for the inputs first, and b (H,), by name.
        activation: φ, one of ``ACTIVATIONS``.

    Returns:
        The cache; its ``outputs`` are h_1 … h_T, (T, B, H).
    """
    W, b = weights["W"], weights["b"]  # (I + H, H), (H,)
    T, B, I = x.shape
    H = W.shape[1]
    phi = activation.value
    W_x, W_h = W[:I], W[I:]  # (I, H), (H, H): views

    z = np.zeros((T + 1, B, I + H), W.dtype)  # (T + 1, B, I + H)
    z[:T, :, :I] = x
    z[0, :, I:] = h0
    from_inputs = x.reshape(T * B, I) @ W_x  # (T·B, H)
    from_inputs += b
    for t in range(T):
        pre = from_inputs[t * B : (t + 1) * B] + z[t, :, I:] @ W_h  # (B, H)
        z[t + 1, :, I:] = phi(pre, pre)  # (B, H)
    return RnnConcatenatedCache(z, W, activation)


def backward(
    cache: RnnConcatenatedCache, d_outputs: ndarray, starts: Container[int] = ()
) -> tuple[ndarray, ndarray, dict[str, ndarray]]:
    """Carry the gradient from the layer's outputs back to all of its inputs.

    Args:
        cache: The cache that ``forward`` returned.
        d_outputs: g, the gradient of every state h_1 … h_T from outside the layer, (T, B, H).
        starts: The steps for which the state before them is a constant, counted from 0 and never the first
            (``truncation``); none for the full gradient.

    Returns:
        d_x (T, B, I), d_h0 (B, H), and the gradients of the weights by name, each of its weight's shape.
    """
    T, B, H = d_outputs.shape
    W_hT = cache.W[-H:].T  # (H, H)

    slope = slopes(cache)  # (T, B, H): φ'_1 … φ'_T
    adjoint = np.empty((T, B, H), d_outputs.dtype)  # (T, B, H): λ_1 … λ_T
    adjoint[T - 1] = d_outputs[T - 1]
    for t in range(T - 2, -1, -1):
        if t + 1 in starts:
            adjoint[t] = d_outputs[t]  # (B, H): the step after this one starts a chunk
        else:
            adjoint[t] = d_outputs[t] + (adjoint[t + 1] * slope[t + 1]) @ W_hT  # (B, H)
    return read_off(cache, adjoint)


def slopes(cache: RnnConcatenatedCache) -> ndarray:
    """Return φ'_1 … φ'_T, (T, B, H), in a new array."""
    return cache.activation.slope_at_value(cache.states[1:])


def lag(cache: RnnConcatenatedCache, slope: ndarray, d_outputs: ndarray | None, shorter: ndarray | None) -> ndarray:
    """Return the multipliers of one lag d of a window, for all steps with a loss d steps later.

    Args:
        cache: The cache that ``forward`` returned.
        slope: φ', (T, B, H).
        d_outputs: g of this lag, (T - d, B, H); None for zero.
        shorter: λ of the lag before, (T - d + 1, B, H); None for the first, d = 0.

    Returns:
        λ of this lag, (T - d, B, H).
    """
    if shorter is None:
        assert d_outputs is not None
        return d_outputs  # (T, B, H)
    H = cache.W.shape[1]
    adjoint = (shorter[1:] * slope[1 : len(shorter)]) @ cache.W[-H:].T  # (T - d, B, H)
    return adjoint if d_outputs is None else adjoint + d_outputs  # (T - d, B, H)


def to_inputs(cache: RnnConcatenatedCache, slope: ndarray, adjoint: ndarray) -> ndarray:
    """Return the gradient of the inputs, (T - d, B, I), by λ of one lag, (T - d, B, H)."""
    I = cache.W.shape[0] - cache.W.shape[1]
    return (adjoint * slope[: len(adjoint)]) @ cache.W[:I].T  # (T - d, B, I)


def read_off(cache: RnnConcatenatedCache, adjoint: ndarray) -> tuple[ndarray, ndarray, dict[str, ndarray]]:
    """Return the result of ``backward`` from λ of all steps, (T, B, H)."""
    T, B, H = adjoint.shape
    I = cache.W.shape[0] - H
    W_x, W_hT = cache.W[:I], cache.W[I:].T  # (I, H), (H, H)

    slope = slopes(cache)  # (T, B, H)
    psi = (adjoint * slope).reshape(T * B, H)  # (T·B, H)
    gradients = {
        "W": cache.z[:T].reshape(T * B, I + H).T @ psi,  # (I + H, H)
        "b": psi.sum(axis=0),  # (H,)
    }
    d_x = (psi @ W_x.T).reshape(T, B, I)  # (T, B, I)
    d_h0 = psi[:B] @ W_hT  # (B, H)
    return d_x, d_h0, gradients
