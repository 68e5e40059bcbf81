r"""Selective scan, the S6 of Mamba: a diagonal state space whose step size, input and output depend on the input.

E is the number of channels, N the width of each channel's state. Forward, for t = 1 … T, from a given h_0 (Gu and Dao
2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces"; B by Euler's rule, as in their code):

    Δ_t = softplus(δ_t + dt_bias)               (B, E)
    A   = −exp(A_log)                           (E, N)
    ā_t = exp(Δ_t A)                            (B, E, N)
    h_t = ā_t ⊙ h_{t-1} + (Δ_t u_t) B_tᵀ        (B, E, N): B_t is (B, N), shared by the channels
    y_t = h_t C_t + D ⊙ u_t                     (B, E): C_t is (B, N), shared by the channels
    out_t = y_t ⊙ silu(z_t)                     (B, E), silu(z) = z σ(z)

Backward. silu'(z) = σ(z) (1 + z (1 − σ(z))), so

    dz_t = g^out_t ⊙ y_t ⊙ silu'(z_t),   dy_t = g^out_t ⊙ silu(z_t)         (B, E)

h_t acts on y_t, and on h_{t+1} through the decay:

    dh_t = dy_t C_tᵀ + dh_{t+1} ⊙ ā_{t+1}       (B, E, N)

Each factor of h_t and y_t gets dh_t or dy_t times the other factors, summed over what it is shared by. With
dlog ā_t = dh_t ⊙ h_{t-1} ⊙ ā_t, the gradient of the exponent Δ_t A:

    dΔ_t = Σ_N dlog ā_t ⊙ A + u_t ⊙ (dh_t B_t)  (B, E): from the decay and from the input
    dA   = Σ_t Σ_B dlog ā_t ⊙ Δ_t               (E, N),  dA_log = dA ⊙ A, since ∂A/∂A_log = A
    du_t = Δ_t ⊙ (dh_t B_t) + D ⊙ dy_t          (B, E): from the state and past it
    dB_t = Σ_E dh_t (Δ_t u_t),   dC_t = Σ_E dy_t h_t        (B, N): over the channels, which share them
    dδ_t = dΔ_t ⊙ σ(δ_t + dt_bias)              (B, E): softplus' = σ
    ddt_bias = Σ_t Σ_B dδ_t,   dD = Σ_t Σ_B dy_t ⊙ u_t      (E,)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

Arrays = Mapping[str, ndarray]


class Cache(NamedTuple):
    """Values of the forward pass that the backward pass needs, batch first."""

    inputs: Arrays  # u, delta, z: (B, T, E); B, C: (B, T, N)
    dt: ndarray  # (B, T, E): Δ_t
    A: ndarray  # (E, N)
    decay: ndarray  # (B, T, E, N): ā_t
    states: ndarray  # (B, T + 1, E, N): h_0, h_1, …, h_T
    y: ndarray  # (B, T, E)
    outputs: ndarray  # (B, T, E)


def sigmoid(a: ndarray) -> ndarray:
    """Return 1 / (1 + exp(−a)), computed so that nothing overflows."""
    return np.exp(-np.logaddexp(0, -a))


def forward(weights: Arrays, inputs: Arrays, initial_state: Arrays) -> Cache:
    """Run the layer over whole sequences.

    Args:
        weights: A_log (E, N), D, dt_bias (E,), by name.
        inputs: u, delta, z (B, T, E), B, C (B, T, N), by name.
        initial_state: h (B, E, N).
    """
    u, z = inputs["u"], inputs["z"]  # (B, T, E) each
    dt = np.logaddexp(0, inputs["delta"] + weights["dt_bias"])  # (B, T, E)
    A = -np.exp(weights["A_log"])  # (E, N)
    decay = np.exp(dt[..., None] * A)  # (B, T, E, N)
    added = (dt * u)[..., None] * inputs["B"][:, :, None]  # (B, T, E, N)
    B, T, E, N = added.shape
    states = np.empty((B, T + 1, E, N), added.dtype)  # (B, T + 1, E, N)
    states[:, 0] = initial_state["h"]
    for t in range(T):
        states[:, t + 1] = decay[:, t] * states[:, t] + added[:, t]  # (B, E, N)
    y = np.einsum("bten,btn->bte", states[:, 1:], inputs["C"]) + weights["D"] * u  # (B, T, E)
    return Cache(inputs, dt, A, decay, states, y, y * z * sigmoid(z))


def backward(weights: Arrays, cache: Cache, upstream: ndarray, upstream_state: Arrays) -> dict[str, ndarray]:
    """Carry the gradient back to everything that went in.

    Args:
        weights: those of ``forward``.
        cache: what ``forward`` returned.
        upstream: the gradient of the loss by the outputs, (B, T, E).
        upstream_state: the gradient of the loss by the last states, h (B, E, N).
    """
    u, z, dt, decay = cache.inputs["u"], cache.inputs["z"], cache.dt, cache.decay
    gate = sigmoid(z)  # (B, T, E)
    dz = upstream * cache.y * gate * (1 + z * (1 - gate))  # (B, T, E)
    dy = upstream * z * gate  # (B, T, E)

    of_states = np.empty_like(decay)  # (B, T, E, N): dh_t
    dh = upstream_state["h"]  # (B, E, N)
    for t in reversed(range(dt.shape[1])):
        of_states[:, t] = dh + dy[:, t, :, None] * cache.inputs["C"][:, t, None]  # (B, E, N)
        dh = of_states[:, t] * decay[:, t]  # (B, E, N)

    of_exponent = of_states * cache.states[:, :-1] * decay  # (B, T, E, N): dlog ā_t
    of_driven = np.einsum("bten,btn->bte", of_states, cache.inputs["B"])  # (B, T, E): the gradient of Δ_t u_t
    d_dt = np.einsum("bten,en->bte", of_exponent, cache.A) + of_driven * u  # (B, T, E)
    d_delta = d_dt * sigmoid(cache.inputs["delta"] + weights["dt_bias"])  # (B, T, E)
    return {
        "A_log": np.einsum("bten,bte->en", of_exponent, dt) * cache.A,  # (E, N)
        "D": (dy * u).sum((0, 1)),  # (E,)
        "dt_bias": d_delta.sum((0, 1)),  # (E,)
        "inputs.u": of_driven * dt + dy * weights["D"],  # (B, T, E)
        "inputs.delta": d_delta,  # (B, T, E)
        "inputs.B": np.einsum("bten,bte->btn", of_states, dt * u),  # (B, T, N)
        "inputs.C": np.einsum("bten,bte->btn", cache.states[:, 1:], dy),  # (B, T, N)
        "inputs.z": dz,  # (B, T, E)
        "h0": dh,  # (B, E, N)
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
    return {**found, "outputs": cache.outputs, "last.h": cache.states[:, -1]}
