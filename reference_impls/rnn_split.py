r"""One vanilla recurrent layer with split weights: W_xh for the inputs, W_hh for the state.

Forward, for t = 1 … T, from a given h_0 (Elman 1990, with the nonlinearity φ left open):

    a_t = x_t W_xh + h_{t-1} W_hh + b_h         (B, H) = (B, I)(I, H) + (B, H)(H, H) + (H,)
    h_t = φ(a_t)                                (B, H)

Backward. Let g_t = ∂L/∂h_t be the gradient that reaches h_t from outside the layer (the readout, the loss, the layer
above) while later states are held fixed. The loss depends on h_t in two ways, from outside and through a_{t+1}. Write
δ_t = dL/da_t. The chain rule over both ways, then through φ, is one recursion from T down to 1:

    δ_t = (g_t + δ_{t+1} W_hhᵀ) ⊙ φ'(a_t)       (B, H),  δ_{T+1} = 0

Every other gradient follows from a_t's formula. The same weights act at each step, so their gradients add up over t:

    dW_xh = Σ_t x_tᵀ δ_t                        (I, H)
    dW_hh = Σ_t h_{t-1}ᵀ δ_t                    (H, H),  h_0 included: the first step has a state before it, too
    db_h  = Σ_t Σ_B δ_t                         (H,)
    dx_t  = δ_t W_xhᵀ                           (B, I)
    dh_0  = δ_1 W_hhᵀ                           (B, H)

(Werbos 1990, "Backpropagation through time: what it does and how to do it".)

Only a_t's recurrent part and δ_t are sequential. The products with W_xh, and the three sums over t, are each one
matrix product over all T·B rows, before or after the loop.

Truncated (``truncation``), only the recursion changes. If the state is detached every k steps, δ_{t+1} W_hhᵀ is left
out where k divides t + 1: there the state h_t, from which step t + 1 starts, counts as a constant. In a window, δ_t is
the sum of its lags δ_{t,d}, each computed from the one before:

    δ_{t,d} = (g_{t,d} + δ_{t+1,d-1} W_hhᵀ) ⊙ φ'(a_t)      d = 0 … k
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls.activations import Activation

WEIGHTS = ("W_xh", "W_hh", "b_h")
STATES = ("h0",)


class RnnSplitCache(NamedTuple):
    """The values of the forward pass that the backward pass needs."""

    x: ndarray  # (T, B, I)
    pre: ndarray  # (T, B, H): a_1, …, a_T
    states: ndarray  # (T + 1, B, H): h_0, h_1, …, h_T
    W_xh: ndarray  # (I, H)
    W_hh: ndarray  # (H, H)
    activation: Activation

    @property
    def outputs(self) -> ndarray:
        """h_1, …, h_T: (T, B, H)."""
        return self.states[1:]

    @property
    def last(self) -> tuple[ndarray]:
        """h_T: (B, H)."""
        return (self.states[-1],)


def forward(x: ndarray, h0: ndarray, weights: Mapping[str, ndarray], *, activation: Activation) -> RnnSplitCache:
    """Run the layer over a whole sequence.

    Args:
        x: Inputs, (T, B, I).
        h0: The state before the first step, (B, H).
        weights: W_xh (I, H), W_hh (H, H), b_h (H,), by name.
        activation: φ, one of ``ACTIVATIONS``.

    Returns:
        The cache; its ``outputs`` are h_1 … h_T, (T, B, H).
    """
    W_xh, W_hh, b_h = (weights[name] for name in WEIGHTS)  # (I, H), (H, H), (H,)
    T, B, I = x.shape
    H = W_hh.shape[0]
    phi = activation.value

    pre = (x.reshape(T * B, I) @ W_xh).reshape(T, B, H)  # (T, B, H)
    pre += b_h  # (T, B, H): a_t without its recurrent part
    states = np.empty((T + 1, B, H), pre.dtype)  # (T + 1, B, H)
    states[0] = h0  # (B, H)
    recurrent = np.empty((B, H), pre.dtype)  # (B, H)
    for t in range(T):
        np.matmul(states[t], W_hh, out=recurrent)  # (B, H)
        pre[t] += recurrent  # (B, H): now a_{t+1}
        phi(pre[t], states[t + 1])  # (B, H)
    return RnnSplitCache(x, pre, states, W_xh, W_hh, activation)


def backward(
    cache: RnnSplitCache, d_outputs: ndarray, starts: Container[int] = ()
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
    W_hhT = cache.W_hh.T  # (H, H)

    delta = slopes(cache)  # (T, B, H): φ'(a_t), to become δ_t
    d_state = np.zeros((B, H), d_outputs.dtype)  # (B, H): δ_{t+1} W_hhᵀ
    for t in reversed(range(T)):
        d_state += d_outputs[t]  # (B, H)
        delta[t] *= d_state  # (B, H)
        np.matmul(delta[t], W_hhT, out=d_state)  # (B, H)
        if t in starts:
            d_state[:] = 0  # (B, H): step t started from a constant
    return read_off(cache, delta)


def slopes(cache: RnnSplitCache) -> ndarray:
    """Return φ'(a_1) … φ'(a_T), (T, B, H), in a new array."""
    return cache.activation.slope_at_value(cache.states[1:])


def lag(cache: RnnSplitCache, slope: ndarray, d_outputs: ndarray | None, shorter: ndarray | None) -> ndarray:
    """Take a window's recursion from one lag to the next, d, for all steps with a loss d steps later.

    Args:
        cache: The cache that ``forward`` returned.
        slope: φ', (T, B, H).
        d_outputs: g of this lag d, (T - d, B, H); None for zero.
        shorter: δ of the lag before, (T - d + 1, B, H); None for the first, d = 0.

    Returns:
        δ of this lag, (T - d, B, H).
    """
    if shorter is None:
        assert d_outputs is not None
        return d_outputs * slope  # (T, B, H)
    d_states = shorter[1:] @ cache.W_hh.T  # (T - d, B, H)
    if d_outputs is not None:
        d_states += d_outputs  # (T - d, B, H)
    d_states *= slope[: len(d_states)]
    return d_states


def to_inputs(cache: RnnSplitCache, slope: ndarray, delta: ndarray) -> ndarray:
    """Return the gradient of the inputs, (T - d, B, I), by δ of one lag, (T - d, B, H)."""
    del slope
    return delta @ cache.W_xh.T


def read_off(cache: RnnSplitCache, delta: ndarray) -> tuple[ndarray, ndarray, dict[str, ndarray]]:
    """Return the result of ``backward`` from δ of all steps, (T, B, H)."""
    T, B, H = delta.shape
    I = cache.x.shape[2]
    rows = delta.reshape(T * B, H)  # (T·B, H)
    gradients = {
        "W_xh": cache.x.reshape(T * B, I).T @ rows,  # (I, H)
        "W_hh": cache.states[:-1].reshape(T * B, H).T @ rows,  # (H, H)
        "b_h": rows.sum(axis=0),  # (H,)
    }
    d_x = (rows @ cache.W_xh.T).reshape(T, B, I)  # (T, B, I)
    d_h0 = delta[0] @ cache.W_hh.T  # (B, H)
    return d_x, d_h0, gradients
