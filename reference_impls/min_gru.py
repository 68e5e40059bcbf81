r"""One minGRU layer: gate and candidate see the input alone, so only the blend is sequential.

Forward, for t = 1 … T, from a given h_0 (Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, "Were RNNs All We
Needed?", with the g of its appendix):

    z_t = σ(x_t W_z + b_z)                      (B, H)
    v_t = x_t W_h + b_h                         (B, H)
    h̃_t = v_t + 1/2 where v_t ≥ 0, σ(v_t) elsewhere
    h_t = (1 − z_t) ⊙ h_{t-1} + z_t ⊙ h̃_t       (B, H)

Backward. h_t acts from outside and on h_{t+1} alone, without any weight:

    dh_t = g^out_t + dh_{t+1} ⊙ (1 − z_{t+1})   (B, H)

This is a linear recurrence of the same form, run backwards, which is why the layer can be scanned in parallel both
ways. All else is pointwise, and computed for all steps at once. σ and v + 1/2 meet at v = 0 in value and not in slope
(1/4 and 1); the branch of v ≥ 0 decides:

    dz_t = dh_t ⊙ (h̃_t − h_{t-1}) ⊙ z_t (1 − z_t)
    dv_t = dh_t ⊙ z_t ⊙ (1 where v_t ≥ 0, σ(v_t) (1 − σ(v_t)) elsewhere)

    dW_z = Σ_t x_tᵀ dz_t,   db_z = Σ_t Σ_B dz_t,   dW_h = Σ_t x_tᵀ dv_t,   db_h = Σ_t Σ_B dv_t
    dx_t = dz_t W_zᵀ + dv_t W_hᵀ,   dh_0 = dh_1 ⊙ (1 − z_1)
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
    z: ndarray  # (T, B, H)
    linear: ndarray  # (T, B, H): whether v_t ≥ 0
    candidates: ndarray  # (T, B, H): h̃_t
    states: ndarray  # (T + 1, B, H): h_0, h_1, …, h_T

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
        weights: W_z, W_h (I, H), b_z, b_h (H,), by name.
        inputs: x (B, T, I), by name.
        initial_state: h (B, H).
    """
    x = inputs["x"].swapaxes(0, 1)  # (T, B, I)
    z = sigmoid(x @ weights["W_z"] + weights["b_z"])  # (T, B, H)
    v = x @ weights["W_h"] + weights["b_h"]  # (T, B, H)
    linear = v >= 0  # (T, B, H)
    candidates = np.where(linear, v + 0.5, sigmoid(v))  # (T, B, H)
    states = np.empty((len(z) + 1, *z.shape[1:]), z.dtype)  # (T + 1, B, H)
    states[0] = initial_state["h"]
    for t in range(len(z)):
        states[t + 1] = (1 - z[t]) * states[t] + z[t] * candidates[t]  # (B, H)
    return Cache(x, z, linear, candidates, states)


def backward(weights: Arrays, cache: Cache, upstream: ndarray, upstream_state: Arrays) -> dict[str, ndarray]:
    """Carry the gradient back to everything that went in.

    Args:
        weights: those of ``forward``.
        cache: what ``forward`` returned.
        upstream: the gradient of the loss by the outputs, (B, T, H).
        upstream_state: the gradient of the loss by the last states, h (B, H).
    """
    z, candidates = cache.z, cache.candidates  # (T, B, H) each
    of_states = np.empty_like(z)  # (T, B, H): dh_t
    dh = upstream_state["h"]  # (B, H)
    for t in reversed(range(len(z))):
        of_states[t] = dh + upstream[:, t]  # (B, H)
        dh = of_states[t] * (1 - z[t])  # (B, H)

    dz = of_states * (candidates - cache.states[:-1]) * z * (1 - z)  # (T, B, H)
    dv = of_states * z * np.where(cache.linear, 1, candidates * (1 - candidates))  # (T, B, H)
    return {
        "W_z": np.einsum("tbi,tbh->ih", cache.x, dz),  # (I, H)
        "b_z": dz.sum((0, 1)),  # (H,)
        "W_h": np.einsum("tbi,tbh->ih", cache.x, dv),  # (I, H)
        "b_h": dv.sum((0, 1)),  # (H,)
        "inputs.x": (dz @ weights["W_z"].T + dv @ weights["W_h"].T).swapaxes(0, 1),  # (B, T, I)
        "h0": dh,  # (B, H)
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
    return {**found, "outputs": cache.outputs, "last.h": cache.states[-1]}
