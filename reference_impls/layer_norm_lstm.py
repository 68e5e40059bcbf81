r"""One lstm layer with layer normalisation of both products and of the cell.

Forward, for t = 1 … T, from given h_0 and c_0 (Ba, Kiros and Hinton 2016, "Layer Normalization"):

    N(v) = (v − mean v) / √(mean (v − mean v)² + ε)    over the last axis, ε = 1e-5
    a_t = g_x ⊙ N(x_t W) + g_h ⊙ N(h_{t-1} U) + b      (B, 4H): one mean over all four gates
    i_t, f_t, g_t, o_t                                 (B, H) each: σ, σ, tanh, σ of the quarters of a_t
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t                    (B, H)
    s_t = tanh(g_c ⊙ N(c_t) + b_c)                     (B, H)
    h_t = o_t ⊙ s_t                                    (B, H)

Backward through N. Write u = N(v) = (v − mean v) / r with r the root, and n for the number of elements. v_j acts on
every u_k, through v_k = v_j, through the mean and through the root:

    ∂u_k/∂v_j = ([j = k] − 1/n) / r − u_k (∂r/∂v_j) / r,   where ∂r/∂v_j = (v_j − mean v) / (n r) = u_j / n

so that with du given

    dv = (du − mean du − u mean(u ⊙ du)) / r

What is left of du is orthogonal to the constants and, but for ε, to u: neither a shift nor a scale of v changes u. The
cache keeps u and r.

Backward through a step. dh_t and dc_t are the whole gradients, δ_t that of a_t:

    dh_t = g^out_t + N'(g_h ⊙ δ_{t+1}) Uᵀ              (B, H): N' is the map from du to dv above
    ds̃_t = dh_t ⊙ o_t ⊙ (1 − s_t²)                     (B, H): the gradient of g_c ⊙ N(c_t) + b_c
    dc_t = N'(g_c ⊙ ds̃_t) + dc_{t+1} ⊙ f_{t+1}         (B, H): the next cell gets c_t before its normalisation
    δ^i, δ^f, δ^g, δ^o = dc ⊙ g ⊙ i (1 − i),  dc ⊙ c_{t-1} ⊙ f (1 − f),  dc ⊙ i ⊙ (1 − g²),  dh ⊙ s ⊙ o (1 − o)

    dg_x = Σ_t Σ_B δ_t ⊙ N(x_t W),   dg_h = Σ_t Σ_B δ_t ⊙ N(h_{t-1} U),   dg_c = Σ_t Σ_B ds̃_t ⊙ N(c_t)
    dW = Σ_t x_tᵀ N'(g_x ⊙ δ_t),   dU = Σ_t h_{t-1}ᵀ N'(g_h ⊙ δ_t),   dx_t = N'(g_x ⊙ δ_t) Wᵀ
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

Arrays = Mapping[str, ndarray]


EPSILON = 1e-5


class Normalised(NamedTuple):
    """A normalised array, and the root that it was divided by."""

    value: ndarray  # (…, n)
    root: ndarray  # (…, 1)


class Cache(NamedTuple):
    """Values of the forward pass that the backward pass needs, time first."""

    x: ndarray  # (T, B, I)
    from_inputs: Normalised  # (T, B, 4H): N(x_t W)
    from_states: list[Normalised]  # T times (B, 4H): N(h_{t-1} U)
    of_cells: list[Normalised]  # T times (B, H): N(c_t)
    gates: ndarray  # (4, T, B, H): i_t, f_t, g_t, o_t
    squashed: ndarray  # (T, B, H): s_t
    states: ndarray  # (T + 1, B, H): h_0, h_1, …, h_T
    cells: ndarray  # (T + 1, B, H): c_0, c_1, …, c_T

    @property
    def outputs(self) -> ndarray:
        """h_1, …, h_T: (B, T, H)."""
        return self.states[1:].swapaxes(0, 1)


def sigmoid(a: ndarray) -> ndarray:
    """Return 1 / (1 + exp(−a)), computed so that nothing overflows."""
    return np.exp(-np.logaddexp(0, -a))


def normalised(v: ndarray) -> Normalised:
    """Return N(v), of the shape of v, and its root."""
    centred = v - v.mean(-1, keepdims=True)  # (…, n)
    root = np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)  # (…, 1)
    return Normalised(centred / root, root)


def before_normalisation(du: ndarray, of: Normalised) -> ndarray:
    """Return the gradient of v, (…, n), from that of u = N(v), (…, n)."""
    u = of.value  # (…, n)
    return (du - du.mean(-1, keepdims=True) - u * (u * du).mean(-1, keepdims=True)) / of.root


def forward(weights: Arrays, inputs: Arrays, initial_state: Arrays) -> Cache:
    """Run the layer over whole sequences.

    Args:
        weights: W (I, 4H), U (H, 4H), b, g_x, g_h (4H,), g_c, b_c (H,), by name.
        inputs: x (B, T, I), by name.
        initial_state: h, c (B, H).
    """
    x = inputs["x"].swapaxes(0, 1)  # (T, B, I)
    from_inputs = normalised(x @ weights["W"])  # (T, B, 4H)
    T, B, H = *x.shape[:2], len(weights["g_c"])
    gates = np.empty((4, T, B, H), x.dtype)  # (4, T, B, H)
    squashed = np.empty((T, B, H), x.dtype)  # (T, B, H)
    states, cells = np.empty((2, T + 1, B, H), x.dtype)  # (T + 1, B, H) each
    states[0], cells[0] = initial_state["h"], initial_state["c"]
    i, f, g, o = gates  # (T, B, H) each: views
    from_states, of_cells = [], []
    for t in range(T):
        from_states.append(normalised(states[t] @ weights["U"]))  # (B, 4H)
        scaled = weights["g_x"] * from_inputs.value[t] + weights["g_h"] * from_states[t].value  # (B, 4H)
        a_i, a_f, a_g, a_o = np.split(scaled + weights["b"], 4, axis=1)  # (B, H) each
        i[t], f[t], g[t], o[t] = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)  # (B, H) each
        cells[t + 1] = f[t] * cells[t] + i[t] * g[t]  # (B, H)
        of_cells.append(normalised(cells[t + 1]))  # (B, H)
        squashed[t] = np.tanh(weights["g_c"] * of_cells[t].value + weights["b_c"])  # (B, H)
        states[t + 1] = o[t] * squashed[t]  # (B, H)
    return Cache(x, from_inputs, from_states, of_cells, gates, squashed, states, cells)


def backward(weights: Arrays, cache: Cache, upstream: ndarray, upstream_state: Arrays) -> dict[str, ndarray]:
    """Carry the gradient back to everything that went in.

    Args:
        weights: those of ``forward``.
        cache: what ``forward`` returned.
        upstream: the gradient of the loss by the outputs, (B, T, H).
        upstream_state: the gradient of the loss by the last states, h, c (B, H).
    """
    i, f, g, o = cache.gates  # (T, B, H) each
    T, B, H = o.shape
    delta = np.empty((T, B, 4 * H), o.dtype)  # (T, B, 4H): δ_t
    of_squashed = np.empty((T, B, H), o.dtype)  # (T, B, H): ds̃_t
    of_products = np.empty((T, B, 4 * H), o.dtype)  # (T, B, 4H): the gradient of h_{t-1} U
    dh, dc = upstream_state["h"], upstream_state["c"]  # (B, H) each
    for t in reversed(range(T)):
        s = cache.squashed[t]  # (B, H)
        dh = dh + upstream[:, t]  # (B, H)
        of_squashed[t] = dh * o[t] * (1 - s**2)  # (B, H)
        dc = dc + before_normalisation(weights["g_c"] * of_squashed[t], cache.of_cells[t])  # (B, H)
        d_i = dc * g[t] * i[t] * (1 - i[t])  # (B, H)
        d_f = dc * cache.cells[t] * f[t] * (1 - f[t])  # (B, H)
        d_g = dc * i[t] * (1 - g[t] ** 2)  # (B, H)
        d_o = dh * s * o[t] * (1 - o[t])  # (B, H)
        delta[t] = np.concatenate([d_i, d_f, d_g, d_o], axis=1)  # (B, 4H)
        of_products[t] = before_normalisation(weights["g_h"] * delta[t], cache.from_states[t])  # (B, 4H)
        dh = of_products[t] @ weights["U"].T  # (B, H)
        dc = dc * f[t]  # (B, H)

    of_input_products = before_normalisation(weights["g_x"] * delta, cache.from_inputs)  # (T, B, 4H)
    from_states = np.stack([each.value for each in cache.from_states])  # (T, B, 4H)
    of_cells = np.stack([each.value for each in cache.of_cells])  # (T, B, H)
    return {
        "W": np.einsum("tbi,tbj->ij", cache.x, of_input_products),  # (I, 4H)
        "U": np.einsum("tbi,tbj->ij", cache.states[:-1], of_products),  # (H, 4H)
        "b": delta.sum((0, 1)),  # (4H,)
        "g_x": (delta * cache.from_inputs.value).sum((0, 1)),  # (4H,)
        "g_h": (delta * from_states).sum((0, 1)),  # (4H,)
        "g_c": (of_squashed * of_cells).sum((0, 1)),  # (H,)
        "b_c": of_squashed.sum((0, 1)),  # (H,)
        "inputs.x": (of_input_products @ weights["W"].T).swapaxes(0, 1),  # (B, T, I)
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
