r"""One lstm layer with concatenated weights: a single W over [input, state] for all four gates.

The function is that of ``lstm_split``, derived again in another way, so that the two derivations check each other.
``lstm_split`` applies the chain rule gate by gate. Here the backward recursion follows from a Lagrangian, whose
multipliers λ_t and μ_t belong to the two states (the adjoint states of optimal control; LeCun 1988, "A theoretical
framework for back-propagation"). The gates appear as four Jacobians.

Forward, for t = 1 … T, from given h_0 and c_0 (Hochreiter and Schmidhuber 1997, Gers et al. 2000). The gates are not
states: they are functions i, f, g, o of one row z_t, each with a quarter of the columns of W.

    z_t = [x_t, h_{t-1}]                        (B, I + H)
    [i, f, g, o](z_t) = [σ, σ, φ, σ](z_t W + b) (B, 4H): (B, I + H)(I + H, 4H) + (4H,)
    c_t = f(z_t) ⊙ c_{t-1} + i(z_t) ⊙ g(z_t)    (B, H)
    h_t = o(z_t) ⊙ φ(c_t)                       (B, H)

Backward. The two equations of the states are the constraints, and each has a multiplier: the Lagrangian is

    L(h) + Σ_t ⟨μ_t, f(z_t) ⊙ c_{t-1} + i(z_t) ⊙ g(z_t) − c_t⟩ + Σ_t ⟨λ_t, o(z_t) ⊙ φ(c_t) − h_t⟩

Stationary in c_t, which is part of its own constraint, of h_t's and of c_{t+1}'s:

    μ_t = λ_t ⊙ o_t ⊙ φ'(c_t) + μ_{t+1} ⊙ f_{t+1}           (B, H),  μ_{T+1} = 0

Stationary in h_t, which is part of its own constraint, of the loss (g^out_t = ∂L/∂h_t) and, inside z_{t+1}, of both
constraints of the next step. Let J_t be the derivatives of the two constraints by the pre-activations, four diagonal
blocks, and W_h the last H rows of W:

    J_t = [g ⊙ σ'(a^i), c_{t-1} ⊙ σ'(a^f), i ⊙ φ'(a^g), φ(c_t) ⊙ σ'(a^o)]       (B, 4H)
    ψ_t = [μ_t, μ_t, μ_t, λ_t] ⊙ J_t            (B, 4H): i, f and g stand under μ, o stands under λ
    λ_t = g^out_t + ψ_{t+1} W_hᵀ                (B, H),  ψ_{T+1} = 0

The Lagrangian's derivatives by all variables except the states of steps 1 to T are the gradients:

    dW = Σ_t z_tᵀ ψ_t                           (I + H, 4H): input rows and state rows at once
    db = Σ_t Σ_B ψ_t                            (4H,)
    dx_t = ψ_t W_xᵀ                             (B, I),  W_x the first I rows of W
    dh_0 = ψ_1 W_hᵀ                             (B, H): λ_0, with g^out_0 = 0
    dc_0 = μ_1 ⊙ f_1                            (B, H): μ_0, with no h_0 that would depend on c_0

As in ``rnn_concatenated``, one array has the z_t of all steps, and each new state is written to its place in z_{t+1}.
The adjoint states of all steps are kept, like the states.

Truncated (``truncation``), h_t and c_t are numbers, not variables, in the constraints of a chunk's first step t + 1. So
μ_{t+1} and ψ_{t+1} do not occur in the equations of μ_t and λ_t.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls.activations import ACTIVATIONS, Activation

WEIGHTS = ("W", "b")
STATES = ("h0", "c0")


class LstmConcatenatedCache(NamedTuple):
    """The values of the forward pass that the backward pass needs."""

    z: ndarray  # (T + 1, B, I + H): z_1 … z_T, and behind them a row that holds h_T and no input
    cells: ndarray  # (T + 1, B, H): c_0, c_1, …, c_T
    i: ndarray  # (T, B, H)
    f: ndarray  # (T, B, H)
    g: ndarray  # (T, B, H)
    o: ndarray  # (T, B, H)
    W: ndarray  # (I + H, 4H)
    activation: Activation
    gate_activation: Activation

    @property
    def states(self) -> ndarray:
        """h_0, h_1, …, h_T: (T + 1, B, H)."""
        return self.z[:, :, -self.cells.shape[2] :]

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
) -> LstmConcatenatedCache:
    """Run the layer over a whole sequence.

    Args:
        x: Inputs, (T, B, I).
        h0: The hidden state before the first step, (B, H).
        c0: The cell before the first step, (B, H).
        weights: W (I + H, 4H), the rows for the inputs first, and b (4H,), by name, each with the columns of i, f, g
            and o side by side. b includes the forget bias that other implementations add at run time.
        activation: φ.
        gate_activation: σ.

    Returns:
        The cache; its ``outputs`` are h_1 … h_T, (T, B, H), its ``cells`` c_0 … c_T, (T + 1, B, H).
    """
    W, b = weights["W"], weights["b"]  # (I + H, 4H), (4H,)
    T, B, I = x.shape
    H = W.shape[1] // 4
    phi, sigma = activation.value, gate_activation.value
    W_x, W_h = W[:I], W[I:]  # (I, 4H), (H, 4H): views

    z = np.zeros((T + 1, B, I + H), W.dtype)  # (T + 1, B, I + H)
    z[:T, :, :I] = x
    z[0, :, I:] = h0
    cells = np.empty((T + 1, B, H), W.dtype)  # (T + 1, B, H)
    cells[0] = c0
    i, f, g, o = np.empty((4, T, B, H), W.dtype)  # (T, B, H) each
    from_inputs = x.reshape(T * B, I) @ W_x  # (T·B, 4H)
    from_inputs += b
    for t in range(T):
        pre = from_inputs[t * B : (t + 1) * B] + z[t, :, I:] @ W_h  # (B, 4H)
        sigma(pre[:, :H], i[t])  # (B, H)
        sigma(pre[:, H : 2 * H], f[t])  # (B, H)
        phi(pre[:, 2 * H : 3 * H], g[t])  # (B, H)
        sigma(pre[:, 3 * H :], o[t])  # (B, H)
        cells[t + 1] = f[t] * cells[t] + i[t] * g[t]  # (B, H)
        z[t + 1, :, I:] = o[t] * phi(cells[t + 1], np.empty_like(cells[t]))  # (B, H)
    return LstmConcatenatedCache(z, cells, i, f, g, o, W, activation, gate_activation)


def backward(
    cache: LstmConcatenatedCache, d_outputs: ndarray, starts: Container[int] = ()
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
    I = cache.W.shape[0] - H
    W_x, W_hT = cache.W[:I], cache.W[I:].T  # (I, 4H), (4H, H)
    phi_slope, sigma_slope = cache.activation.slope_at_value, cache.gate_activation.slope_at_value
    i, f, g, o = cache.i, cache.f, cache.g, cache.o  # (T, B, H) each

    squashed = cache.activation.value(cache.cells[1:], np.empty_like(i))  # (T, B, H): φ(c_1) … φ(c_T)
    output_by_cell = o * phi_slope(squashed)  # (T, B, H)
    cell_by_pre = (g * sigma_slope(i), cache.cells[:T] * sigma_slope(f), i * phi_slope(g))  # (T, B, H) each
    output_by_pre = squashed * sigma_slope(o)  # (T, B, H)
    jacobian = np.concatenate([*cell_by_pre, output_by_pre], axis=-1)  # (T, B, 4H): J_1 … J_T

    of_state = np.empty((T, B, H), d_outputs.dtype)  # (T, B, H): λ_1 … λ_T
    of_cell = np.empty((T, B, H), d_outputs.dtype)  # (T, B, H): μ_1 … μ_T
    of_state[T - 1] = d_outputs[T - 1]
    of_cell[T - 1] = of_state[T - 1] * output_by_cell[T - 1]
    for t in range(T - 2, -1, -1):
        if t + 1 in starts:
            of_state[t] = d_outputs[t]  # (B, H): the step after this one starts a chunk
            of_cell[t] = of_state[t] * output_by_cell[t]  # (B, H)
            continue
        mu, lam = of_cell[t + 1], of_state[t + 1]  # (B, H), (B, H)
        psi = np.concatenate([mu, mu, mu, lam], axis=-1) * jacobian[t + 1]  # (B, 4H)
        of_state[t] = d_outputs[t] + psi @ W_hT  # (B, H)
        of_cell[t] = of_state[t] * output_by_cell[t] + mu * f[t + 1]  # (B, H)

    rows = np.concatenate([of_cell, of_cell, of_cell, of_state], axis=-1) * jacobian  # (T, B, 4H): ψ_1 … ψ_T
    rows = rows.reshape(T * B, 4 * H)  # (T·B, 4H)
    gradients = {
        "W": cache.z[:T].reshape(T * B, I + H).T @ rows,  # (I + H, 4H)
        "b": rows.sum(axis=0),  # (4H,)
    }
    d_x = (rows @ W_x.T).reshape(T, B, I)  # (T, B, I)
    d_h0 = rows[:B] @ W_hT  # (B, H)
    d_c0 = of_cell[0] * f[0]  # (B, H)
    return d_x, d_h0, d_c0, gradients
