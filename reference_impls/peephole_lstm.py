r"""One lstm layer with peepholes: the gates see the cell.

Forward, for t = 1 … T, from given h_0 and c_0 (Gers, Schraudolph and Schmidhuber 2002, "Learning precise timing with
LSTM recurrent networks"):

    a_t = x_t W + h_{t-1} U + b                 (B, 4H): the quarters a^i, a^f, a^g, a^o
    i_t = σ(a^i_t + p_i ⊙ c_{t-1})              (B, H)
    f_t = σ(a^f_t + p_f ⊙ c_{t-1})              (B, H)
    g_t = tanh(a^g_t)                           (B, H)
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t             (B, H)
    o_t = σ(a^o_t + p_o ⊙ c_t)                  (B, H): the output gate sees the new cell
    h_t = o_t ⊙ tanh(c_t)                       (B, H)

Backward. Write dh_t and dc_t for the whole gradients, through all later steps as well, and δ for those of the four
pre-activations, peepholes included. h_t acts from outside and through a_{t+1}:

    dh_t = g^out_t + δ_{t+1} Uᵀ                 (B, H)

c_t acts on h_t, through tanh and through the output gate of the same step; on c_{t+1}; and through the input and
forget gates of the next step:

    δ^o_t = dh_t ⊙ tanh(c_t) ⊙ o_t (1 − o_t)
    dc_t  = dh_t ⊙ o_t ⊙ (1 − tanh²(c_t)) + δ^o_t ⊙ p_o + dc_{t+1} ⊙ f_{t+1} + δ^i_{t+1} ⊙ p_i + δ^f_{t+1} ⊙ p_f
    δ^i_t = dc_t ⊙ g_t ⊙ i_t (1 − i_t)
    δ^f_t = dc_t ⊙ c_{t-1} ⊙ f_t (1 − f_t)
    δ^g_t = dc_t ⊙ i_t ⊙ (1 − g_t²)

δ^o_t must come first, because dc_t needs it. At t = T the gradients of the last states stand in place of what comes
from step T + 1. The weights gather what passes by:

    dW = Σ_t x_tᵀ δ_t,   dU = Σ_t h_{t-1}ᵀ δ_t,   db = Σ_t Σ_B δ_t,   dx_t = δ_t Wᵀ
    dp_i = Σ_t Σ_B δ^i_t ⊙ c_{t-1},   dp_f = Σ_t Σ_B δ^f_t ⊙ c_{t-1},   dp_o = Σ_t Σ_B δ^o_t ⊙ c_t
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

Arrays = Mapping[str, ndarray]


class Cache(NamedTuple):
    """Values of the forward pass that the backward pass needs, time first."""

    x: ndarray  # (T, B, I)
    gates: ndarray  # (4, T, B, H): i_t, f_t, g_t, o_t
    states: ndarray  # (T + 1, B, H): h_0, h_1, …, h_T
    cells: ndarray  # (T + 1, B, H): c_0, c_1, …, c_T

    @property
    def outputs(self) -> ndarray:
        """h_1, …, h_T: (B, T, H)."""
        return self.states[1:].swapaxes(0, 1)


def sigmoid(a: ndarray) -> ndarray:
    """Return 1 / (1 + exp(−a)), computed so that nothing overflows."""
    return np.exp(-np.logaddexp(0, -a))


def forward(weights: Arrays, inputs: Arrays, initial_state: Arrays) -> Cache:
    """Run the layer over whole sequences.

    Args:
        weights: W (I, 4H), U (H, 4H), b (4H,), p_i, p_f, p_o (H,), by name.
        inputs: x (B, T, I), by name.
        initial_state: h, c (B, H).
    """
    p_i, p_f, p_o = weights["p_i"], weights["p_f"], weights["p_o"]  # (H,) each
    x = inputs["x"].swapaxes(0, 1)  # (T, B, I)
    from_inputs = x @ weights["W"] + weights["b"]  # (T, B, 4H)
    T, B, H = *x.shape[:2], len(p_i)
    gates = np.empty((4, T, B, H), x.dtype)  # (4, T, B, H)
    states, cells = np.empty((2, T + 1, B, H), x.dtype)  # (T + 1, B, H) each
    states[0], cells[0] = initial_state["h"], initial_state["c"]
    i, f, g, o = gates  # (T, B, H) each: views
    for t in range(T):
        h, c = states[t], cells[t]  # (B, H) each: before the step
        a_i, a_f, a_g, a_o = np.split(from_inputs[t] + h @ weights["U"], 4, axis=1)  # (B, H) each
        i[t] = sigmoid(a_i + p_i * c)  # (B, H)
        f[t] = sigmoid(a_f + p_f * c)  # (B, H)
        g[t] = np.tanh(a_g)  # (B, H)
        cells[t + 1] = f[t] * c + i[t] * g[t]  # (B, H)
        o[t] = sigmoid(a_o + p_o * cells[t + 1])  # (B, H)
        states[t + 1] = o[t] * np.tanh(cells[t + 1])  # (B, H)
    return Cache(x, gates, states, cells)


def backward(weights: Arrays, cache: Cache, upstream: ndarray, upstream_state: Arrays) -> dict[str, ndarray]:
    """Carry the gradient back to everything that went in.

    Args:
        weights: those of ``forward``.
        cache: what ``forward`` returned.
        upstream: the gradient of the loss by the outputs, (B, T, H).
        upstream_state: the gradient of the loss by the last states, h, c (B, H).
    """
    p_i, p_f, p_o = weights["p_i"], weights["p_f"], weights["p_o"]  # (H,) each
    i, f, g, o = cache.gates  # (T, B, H) each
    before, after = cache.cells[:-1], cache.cells[1:]  # (T, B, H) each
    T, B, H = o.shape
    delta = np.empty((T, B, 4, H), o.dtype)  # (T, B, 4, H): δ^i, δ^f, δ^g, δ^o
    dh, dc = upstream_state["h"], upstream_state["c"]  # (B, H) each
    for t in reversed(range(T)):
        squashed = np.tanh(after[t])  # (B, H)
        dh = dh + upstream[:, t]  # (B, H)
        d_o = dh * squashed * o[t] * (1 - o[t])  # (B, H)
        dc = dc + dh * o[t] * (1 - squashed**2) + d_o * p_o  # (B, H)
        d_i = dc * g[t] * i[t] * (1 - i[t])  # (B, H)
        d_f = dc * before[t] * f[t] * (1 - f[t])  # (B, H)
        d_g = dc * i[t] * (1 - g[t] ** 2)  # (B, H)
        delta[t] = np.stack([d_i, d_f, d_g, d_o], axis=1)  # (B, 4, H)
        dh = delta[t].reshape(B, 4 * H) @ weights["U"].T  # (B, H)
        dc = dc * f[t] + d_i * p_i + d_f * p_f  # (B, H)

    rows = delta.reshape(T, B, 4 * H)  # (T, B, 4H)
    return {
        "W": np.einsum("tbi,tbj->ij", cache.x, rows),  # (I, 4H)
        "U": np.einsum("tbi,tbj->ij", cache.states[:-1], rows),  # (H, 4H)
        "b": rows.sum((0, 1)),  # (4H,)
        "p_i": (delta[:, :, 0] * before).sum((0, 1)),  # (H,)
        "p_f": (delta[:, :, 1] * before).sum((0, 1)),  # (H,)
        "p_o": (delta[:, :, 3] * after).sum((0, 1)),  # (H,)
        "inputs.x": (rows @ weights["W"].T).swapaxes(0, 1),  # (B, T, I)
        "h0": dh,  # (B, H)
        "c0": dc,  # (B, H)
    }


def gradients(
    weights: Arrays, inputs: Arrays, initial_state: Arrays, upstream: ndarray, upstream_state: Arrays
) -> dict[str, ndarray]:
    """Return every gradient by name, ``outputs``, and the last states.

    Inputs and outputs are (B, T, …); the gradient of an input is ``inputs.`` and its name, that of an initial state its
    name and 0, and a last state ``last.`` and its name.
    """
    cache = forward(weights, inputs, initial_state)
    found = backward(weights, cache, upstream, upstream_state)
    return {**found, "outputs": cache.outputs, "last.h": cache.states[-1], "last.c": cache.cells[-1]}
