r"""One lstm layer with split weights: W_xh for the inputs, W_hh for the state, the four gates side by side.

Forward, for t = 1 … T, from given h_0 and c_0 (Hochreiter and Schmidhuber 1997, "Long short-term memory"; the forget
gate is that of Gers, Schmidhuber and Cummins 2000, "Learning to forget"; no peepholes):

    a_t = x_t W_xh + h_{t-1} W_hh + b_h         (B, 4H) = (B, I)(I, 4H) + (B, H)(H, 4H) + (4H,)
    i_t, f_t, g_t, o_t                          (B, H) each: σ, σ, φ, σ of the four quarters of a_t, in this order
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t             (B, H)
    s_t = φ(c_t)                                (B, H)
    h_t = o_t ⊙ s_t                             (B, H)

i is the input gate, f the forget gate, o the output gate, g what may be added to the cell c. σ is the gates'
nonlinearity, the sigmoid; φ is tanh.

Backward. Let g^out_t = ∂L/∂h_t be the gradient that reaches h_t from outside the layer. Write dh_t and dc_t for the
whole gradients, through all later steps as well, and δ_t = dL/da_t for the pre-activations. h_t acts on the loss from
outside and through a_{t+1}. c_t acts through h_t, and directly, without any weight, on c_{t+1} (the constant error
carousel):

    dh_t = g^out_t + δ_{t+1} W_hhᵀ              (B, H),  δ_{T+1} = 0
    dc_t = dh_t ⊙ o_t ⊙ φ'(c_t) + dc_{t+1} ⊙ f_{t+1}        (B, H),  dc_{T+1} = 0

The quarters of δ_t follow from the formulas of c_t and h_t, each through its gate's own nonlinearity:

    δ^i_t = dc_t ⊙ g_t ⊙ σ'(a^i_t)              (B, H)
    δ^f_t = dc_t ⊙ c_{t-1} ⊙ σ'(a^f_t)          (B, H),  c_0 included
    δ^g_t = dc_t ⊙ i_t ⊙ φ'(a^g_t)              (B, H)
    δ^o_t = dh_t ⊙ s_t ⊙ σ'(a^o_t)              (B, H)

From δ_t, everything follows as in ``rnn_split``, with 4H columns in place of H:

    dW_xh = Σ_t x_tᵀ δ_t                        (I, 4H)
    dW_hh = Σ_t h_{t-1}ᵀ δ_t                    (H, 4H),  h_0 included
    db_h  = Σ_t Σ_B δ_t                         (4H,)
    dx_t  = δ_t W_xhᵀ                           (B, I)
    dh_0  = δ_1 W_hhᵀ                           (B, H)
    dc_0  = dc_1 ⊙ f_1                          (B, H)

Only the product with W_hh forward, the one with W_hhᵀ backward, and the pointwise operations between them are
sequential. The factors of dc_t or dh_t in each quarter of δ_t come from the forward pass alone, so they are computed
for all steps at once, before the loop.

Truncated (``truncation``), both initial states of a chunk's first step t + 1 are constants: δ_{t+1} W_hhᵀ and
dc_{t+1} ⊙ f_{t+1} are left out there. A window is a sum of passes with such chunks.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls.activations import ACTIVATIONS, Activation

WEIGHTS = ("W_xh", "W_hh", "b_h")
STATES = ("h0", "c0")


class LstmSplitCache(NamedTuple):
    """The values of the forward pass that the backward pass needs."""

    x: ndarray  # (T, B, I)
    gates: ndarray  # (T, B, 4, H): i_t, f_t, g_t, o_t
    states: ndarray  # (T + 1, B, H): h_0, h_1, …, h_T
    cells: ndarray  # (T + 1, B, H): c_0, c_1, …, c_T
    squashed: ndarray  # (T, B, H): s_1, …, s_T
    W_xh: ndarray  # (I, 4H)
    W_hh: ndarray  # (H, 4H)
    activation: Activation
    gate_activation: Activation

    @property
    def outputs(self) -> ndarray:
        """h_1, …, h_T: (T, B, H)."""
        return self.states[1:]

    @property
    def last(self) -> tuple[ndarray, ndarray]:
        """h_T and c_T: (B, H) each."""
        return self.states[-1], self.cells[-1]


def forward(
    x: ndarray,
    h0: ndarray,
    c0: ndarray,
    weights: Mapping[str, ndarray],
    *,
    activation: Activation = ACTIVATIONS["tanh"],
    gate_activation: Activation = ACTIVATIONS["sigmoid"],
) -> LstmSplitCache:
    """Run the layer over a whole sequence.

    Args:
        x: Inputs, (T, B, I).
        h0: The hidden state before the first step, (B, H).
        c0: The cell before the first step, (B, H).
        weights: W_xh (I, 4H), W_hh (H, 4H), b_h (4H,), by name, each with the columns of i, f, g and o side by side;
            b_h includes the forget bias that other implementations add at run time.
        activation: φ.
        gate_activation: σ.

    Returns:
        The cache; its ``outputs`` are h_1 … h_T, (T, B, H), its ``cells`` c_0 … c_T, (T + 1, B, H).
    """
    W_xh, W_hh, b_h = (weights[name] for name in WEIGHTS)  # (I, 4H), (H, 4H), (4H,)
    T, B, I = x.shape
    H = W_hh.shape[0]
    phi, sigma = activation.value, gate_activation.value

    rows = x.reshape(T * B, I) @ W_xh  # (T·B, 4H)
    rows += b_h  # (T·B, 4H): a_t without its recurrent part
    gates = rows.reshape(T, B, 4, H)  # (T, B, 4, H): a view, to become i_t, f_t, g_t, o_t
    states = np.empty((T + 1, B, H), gates.dtype)  # (T + 1, B, H)
    cells = np.empty_like(states)  # (T + 1, B, H)
    squashed = np.empty((T, B, H), gates.dtype)  # (T, B, H)
    states[0], cells[0] = h0, c0  # (B, H), (B, H)
    recurrent = np.empty((B, 4 * H), gates.dtype)  # (B, 4H)
    candidate, added = np.empty((2, B, H), gates.dtype)  # (B, H), (B, H)
    for t in range(T):
        pre, c = rows[t * B : (t + 1) * B], cells[t + 1]  # (B, 4H), (B, H): views
        i, f, g, o = pre[:, :H], pre[:, H : 2 * H], pre[:, 2 * H : 3 * H], pre[:, 3 * H :]  # (B, H) each: views
        np.matmul(states[t], W_hh, out=recurrent)  # (B, 4H)
        pre += recurrent  # (B, 4H): now a_{t+1}
        phi(g, candidate)  # (B, H)
        sigma(pre, pre)  # (B, 4H): all four at once, since one call on the whole is faster than two on parts of rows
        g[:] = candidate  # (B, H)
        np.multiply(f, cells[t], out=c)  # (B, H)
        c += np.multiply(i, g, out=added)  # (B, H)
        phi(c, squashed[t])  # (B, H)
        np.multiply(o, squashed[t], out=states[t + 1])  # (B, H)
    return LstmSplitCache(x, gates, states, cells, squashed, W_xh, W_hh, activation, gate_activation)


def backward(
    cache: LstmSplitCache, d_outputs: ndarray, starts: Container[int] = ()
) -> tuple[ndarray, ndarray, ndarray, dict[str, ndarray]]:
    """Carry the gradient from the layer's outputs back to all of its inputs.

    Args:
        cache: The cache that ``forward`` returned.
        d_outputs: g^out, the gradient of every hidden state h_1 … h_T from outside the layer, (T, B, H).
        starts: The steps for which the state before them is a constant, counted from 0 and never the first
            (``truncation``); none for the full gradient.

    Returns:
        d_x (T, B, I), d_h0 (B, H), d_c0 (B, H), and the gradients of the weights by name, each of its weight's shape.
    """
    T, B, H = d_outputs.shape
    I = cache.x.shape[2]
    W_hhT = cache.W_hh.T  # (4H, H)
    phi_slope, sigma_slope = cache.activation.slope_at_value, cache.gate_activation.slope_at_value
    i, f, g, o = (cache.gates[:, :, k] for k in range(4))  # (T, B, H) each

    delta = sigma_slope(cache.gates)  # (T, B, 4, H): the factors of dc_t or dh_t, to become δ_t
    delta[:, :, 0] *= g  # (T, B, H)
    delta[:, :, 1] *= cache.cells[:-1]  # (T, B, H)
    np.multiply(i, phi_slope(g), out=delta[:, :, 2])  # (T, B, H): g is squashed by φ, not by σ
    delta[:, :, 3] *= cache.squashed  # (T, B, H)
    cell_to_state = phi_slope(cache.squashed)  # (T, B, H)
    cell_to_state *= o  # (T, B, H): ∂h_t/∂c_t

    d_state = np.zeros((B, H), d_outputs.dtype)  # (B, H): δ_{t+1} W_hhᵀ, to become dh_t
    d_cell = np.zeros((B, H), d_outputs.dtype)  # (B, H): dc_{t+1} ⊙ f_{t+1}, to become dc_t
    through_state = np.empty((B, H), d_outputs.dtype)  # (B, H)
    for t in reversed(range(T)):
        d_state += d_outputs[t]  # (B, H)
        d_cell += np.multiply(d_state, cell_to_state[t], out=through_state)  # (B, H)
        delta[t, :, :3] *= d_cell[:, None]  # (B, 3, H): δ^i, δ^f, δ^g
        delta[t, :, 3] *= d_state  # (B, H): δ^o
        np.matmul(delta[t].reshape(B, 4 * H), W_hhT, out=d_state)  # (B, H)
        d_cell *= f[t]  # (B, H)
        if t in starts:
            d_state[:] = d_cell[:] = 0  # (B, H), (B, H): step t started from constants
    d_h0, d_c0 = d_state, d_cell  # (B, H), (B, H)

    rows = delta.reshape(T * B, 4 * H)  # (T·B, 4H)
    gradients = {
        "W_xh": cache.x.reshape(T * B, I).T @ rows,  # (I, 4H)
        "W_hh": cache.states[:-1].reshape(T * B, H).T @ rows,  # (H, 4H)
        "b_h": rows.sum(axis=0),  # (4H,)
    }
    d_x = (rows @ cache.W_xh.T).reshape(T, B, I)  # (T, B, I)
    return d_x, d_h0, d_c0, gradients
