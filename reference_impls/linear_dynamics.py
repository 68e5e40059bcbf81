r"""A recurrent network with the identity as its activation, solved in closed form by powers of W_hh.

With φ(a) = a the dynamics of a layer are linear, h_t = h_{t-1} W_hh + z_t with z_t = x_t W_xh + b_h. Written out from
the initial state, for t = 1 … T:

    h_t = h_0 W_hh^t + Σ_{s=1…t} z_s W_hh^(t-s)                 (B, H)

Nothing is handed from step to step: each state is a sum of its own, and so is each gradient. Let g_τ = ∂L/∂h_τ be the
gradient that reaches h_τ from outside the layer. h_τ depends on z_t, for t ≤ τ, by the term z_t W_hh^(τ-t) alone, and
on h_0 by h_0 W_hh^τ alone:

    δ_t  = dL/dz_t = Σ_{τ=t…T} g_τ (W_hh^(τ-t))ᵀ                (B, H)
    dh_0 = Σ_{τ=1…T} g_τ (W_hh^τ)ᵀ                              (B, H)

    dW_xh = Σ_t x_tᵀ δ_t    (I, H),    db_h = Σ_t Σ_B δ_t    (H,),    dx_t = δ_t W_xhᵀ    (B, I)

W_hh acts in every factor of its powers. By the product rule, dL/dW_hh is the sum over all places of a factor in the
terms of all h_τ. The factor at place t of h_τ, with t - 1 steps before it, has on its left the state h_{t-1}, the sum
of all that enters up to there, and on its right W_hh^(τ-t):

    dW_hh = Σ_τ Σ_{t≤τ} h_{t-1}ᵀ g_τ (W_hh^(τ-t))ᵀ = Σ_t h_{t-1}ᵀ δ_t          (H, H)

(Linear time-invariant systems: Kailath 1980, "Linear Systems", section 2.1. The powers are built from halves of their
exponents.)

Truncated, a loss at τ reaches back to some first step, and the state before that step is a constant. The sums over t
begin there, and the gradient is a sum over groups of losses that reach to the same step (``Reach``). Layers are stacked
as in ``network``: x of a layer are the states of the layer below, and the g of that layer is the dx of this one, group
by group.

The sums take O(T²) products, and the recursion O(T).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls.truncation import Detach, Truncation

Weights = Mapping[str, ndarray]


class Reach(NamedTuple):
    """Losses that are carried back to the same step and no further; steps are counted from 0."""

    losses: range
    first: int


def reaches(truncation: Truncation | None, T: int) -> list[Reach]:
    """Return the groups of losses among T steps, each with the step to which it is carried back."""
    if truncation is None:
        return [Reach(range(T), 0)]
    if isinstance(truncation, Detach):
        starts = range(0, T, truncation.every)
        return [Reach(range(first, min(first + truncation.every, T)), first) for first in starts]
    return [Reach(range(step, step + 1), max(0, step - truncation.steps)) for step in range(T)]


def powers_of(W: ndarray, count: int) -> ndarray:
    """Return W⁰ … W^(count-1), (count, H, H), each from the powers of half its exponent."""
    powers = np.empty((count, *W.shape), W.dtype)  # (count, H, H)
    for k in range(count):
        if k < 2:
            powers[k] = np.eye(len(W), dtype=W.dtype) if k == 0 else W  # (H, H)
        else:
            powers[k] = powers[k // 2] @ powers[k - k // 2]  # (H, H)
    return powers


def states_of(x: ndarray, h0: ndarray, W_xh: ndarray, b_h: ndarray, powers: ndarray) -> ndarray:
    """Return h_0 … h_T, (T + 1, B, H).

    Args:
        x: (T, B, I).
        h0: (B, H).
        W_xh: (I, H).
        b_h: (H,).
        powers: W_hh⁰ … W_hh^T, (T + 1, H, H).
    """
    T, H = len(x), len(b_h)
    z = x @ W_xh + b_h  # (T, B, H)
    states = np.empty((T + 1, *h0.shape), z.dtype)  # (T + 1, B, H)
    for t in range(T + 1):
        entered = np.concatenate([h0[None], z[:t]])  # (t + 1, B, H): the terms that enter at 0, 1, …, t
        side_by_side = entered.swapaxes(0, 1).reshape(-1, (t + 1) * H)  # (B, (t + 1)·H)
        states[t] = side_by_side @ powers[t::-1].reshape((t + 1) * H, H)  # (B, H)
    return states


def arrived(g: ndarray, powers: ndarray, reach: Reach) -> tuple[ndarray, ndarray]:
    """Return δ_1 … δ_T (T, B, H) and dh_0 (B, H) of the losses of one reach.

    Args:
        g: (T, B, H), the gradient of the states from outside the layer.
        powers: W_hh⁰ … W_hh^T, (T + 1, H, H).
        reach: The losses that are carried back, and the first step. g of earlier steps must be 0.
    """
    (_, B, H), turned = g.shape, powers.swapaxes(1, 2)  # (T + 1, H, H): (W_hh^k)ᵀ
    end = reach.losses.stop
    delta = np.zeros_like(g)  # (T, B, H)
    for t in range(reach.first, end):
        delta[t] = _sum_of_products(g[t:end], turned[: end - t])  # (B, H)
    from_start = _sum_of_products(g[:end], turned[1 : end + 1]) if reach.first == 0 else np.zeros((B, H), g.dtype)
    return delta, from_start  # (T, B, H), (B, H)


def _sum_of_products(rows: ndarray, matrices: ndarray) -> ndarray:
    """Return Σ_k rows_k matrices_k, (B, H), of (K, B, H) and (K, H, H)."""
    K, B, H = rows.shape
    return rows.swapaxes(0, 1).reshape(B, K * H) @ matrices.reshape(K * H, H)


def loss_and_gradients(
    weights: Weights,
    inputs: ndarray,
    initial_state: Weights,
    loss: Callable[[ndarray], tuple[ndarray, ndarray]],
    truncation: Truncation | None = None,
) -> tuple[ndarray, ndarray, dict[str, ndarray]]:
    """Solve the network, and compute the loss and the gradient.

    Args:
        weights: As for ``network.forward``.
        inputs: (B, T, I).
        initial_state: ``layerN.h0`` (B, H) by name.
        loss: A function from outputs to (loss, d_outputs).
        truncation: As for ``network.backward``.

    Returns:
        The loss of shape (), the outputs, and the gradient of every weight, initial state and of ``inputs``, by name.

    Raises:
        KeyError: If a layer's weight or state is missing.
    """
    T, layers = inputs.shape[1], range(len(initial_state))
    x = [inputs.swapaxes(0, 1)]  # (T, B, I), and of each layer above (T, B, H)
    powers, states = [], []
    for n in layers:
        W_xh, W_hh, b_h = (weights[f"layer{n}.{name}"] for name in ("W_xh", "W_hh", "b_h"))
        powers.append(powers_of(W_hh, T + 1))  # (T + 1, H, H)
        states.append(states_of(x[n], initial_state[f"layer{n}.h0"], W_xh, b_h, powers[n]))  # (T + 1, B, H)
        x.append(states[n][1:])  # (T, B, H)
    top = x.pop()  # (T, B, H)
    has_readout = "readout.W_hy" in weights
    y = top @ weights["readout.W_hy"] + weights["readout.b_y"] if has_readout else top  # (T, B, O)
    outputs = y.swapaxes(0, 1)  # (B, T, O)
    value, d_outputs = loss(outputs)
    d_y = d_outputs.swapaxes(0, 1)  # (T, B, O)
    gradients: dict[str, ndarray] = {}
    d_top = d_y  # (T, B, H)
    if has_readout:
        d_top = d_y @ weights["readout.W_hy"].T  # (T, B, H)
        gradients = {"readout.W_hy": _outer(top, d_y), "readout.b_y": d_y.sum(axis=(0, 1))}
    for reach in reaches(truncation, T):
        g = np.zeros_like(d_top)  # (T, B, H)
        g[reach.losses] = d_top[reach.losses]
        for n in reversed(layers):
            delta, d_h0 = arrived(g, powers[n], reach)  # (T, B, H), (B, H)
            d_x = delta @ weights[f"layer{n}.W_xh"].T  # (T, B, I), or above layer 0 (T, B, H)
            found = {
                f"layer{n}.W_xh": _outer(x[n], delta),
                f"layer{n}.W_hh": _outer(states[n][:-1], delta),
                f"layer{n}.b_h": delta.sum(axis=(0, 1)),
                f"layer{n}.h0": d_h0,
            }
            if n == 0:
                found["inputs"] = d_x.swapaxes(0, 1)  # (B, T, I)
            gradients |= {name: gradients[name] + part if name in gradients else part for name, part in found.items()}
            g = d_x
    return value, outputs, gradients


def _outer(left: ndarray, right: ndarray) -> ndarray:
    """Return Σ over steps and sequences of leftᵀ right: (J, K) of (T, B, J) and (T, B, K)."""
    return left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1])  # (J, K)


def work(T: int, B: int, H: int, groups: Sequence[Reach], layers: int) -> float:
    """Return the approximate number of multiplications in the sums of all layers."""
    back = sum((reach.losses.stop - reach.first) ** 2 / 2 for reach in groups)
    return float(layers * H * H * (B * (T * T / 2 + back) + H * T))
