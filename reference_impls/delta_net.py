r"""DeltaNet: a matrix state that unlearns what it holds for a key before it learns the new value.

H is the number of heads, K the width of keys and queries, V that of values. Forward, for t = 1 … T, for each head from
a given S_0 (Yang, Wang, Zhang, Shen and Kim 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence
Length"; ε = 1e-6 as in flash-linear-attention):

    k̂_t = k_t / √(k_t·k_t + ε),   q̂_t = q_t / √(q_t·q_t + ε)       (B, H, K)
    β_t = σ(b_t)                                (B, H): b_t is the input beta
    r_t = v_t − S_{t-1}ᵀ k̂_t                    (B, H, V): what the state lacks for this key
    S_t = S_{t-1} + k̂_t (β_t r_t)ᵀ              (B, H, K, V)
    y_t = S_tᵀ q̂_t                              (B, H, V)

Backward. S_t acts on y_t, and on S_{t+1} twice: directly, and through r_{t+1}. Write e_t = β_t r_t, so that S_t =
S_{t-1} + k̂_t e_tᵀ, and dS_t for the whole gradient:

    dS_t = q̂_t g^out_tᵀ + dS_{t+1} − k̂_{t+1} dr_{t+1}ᵀ             (B, H, K, V)
    de_t = dS_tᵀ k̂_t,   dr_t = β_t de_t,   dβ_t = de_t·r_t         (B, H, V), (B, H, V), (B, H)
    dv_t = dr_t                                 (B, H, V)
    dk̂_t = dS_t e_t − S_{t-1} dr_t              (B, H, K): the key writes, and it reads what is unlearned
    dq̂_t = S_t g^out_t                          (B, H, K): the state after the step
    db_t = dβ_t β_t (1 − β_t)                   (B, H)

A vector divided by its length n = √(k·k + ε) acts through itself and through n, with ∂n/∂k = k̂:

    dk_t = (dk̂_t − k̂_t (k̂_t·dk̂_t)) / n_t        (B, H, K),  and the same for q
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

Arrays = Mapping[str, ndarray]


EPSILON = 1e-6


class Cache(NamedTuple):
    """Values of the forward pass that the backward pass needs, batch first."""

    q: ndarray  # (B, T, H, K): q̂_t
    k: ndarray  # (B, T, H, K): k̂_t
    q_length: ndarray  # (B, T, H, 1)
    k_length: ndarray  # (B, T, H, 1)
    beta: ndarray  # (B, T, H): β_t
    missing: ndarray  # (B, T, H, V): r_t
    states: ndarray  # (B, T + 1, H, K, V): S_0, S_1, …, S_T
    outputs: ndarray  # (B, T, H, V)


def sigmoid(a: ndarray) -> ndarray:
    """Return 1 / (1 + exp(−a)), computed so that nothing overflows."""
    return np.exp(-np.logaddexp(0, -a))


def normalised(k: ndarray) -> tuple[ndarray, ndarray]:
    """Return k divided by its length, (…, K), and the length, (…, 1)."""
    length = np.sqrt((k**2).sum(-1, keepdims=True) + EPSILON)  # (…, 1)
    return k / length, length


def before_normalisation(d_unit: ndarray, unit: ndarray, length: ndarray) -> ndarray:
    """Return the gradient of a vector, (…, K), from that of the vector divided by its length, (…, K)."""
    return (d_unit - unit * (unit * d_unit).sum(-1, keepdims=True)) / length


def forward(weights: Arrays, inputs: Arrays, initial_state: Arrays) -> Cache:
    """Run the layer over whole sequences.

    Args:
        weights: none, by name.
        inputs: q, k (B, T, H, K), v (B, T, H, V), beta (B, T, H), by name.
        initial_state: S (B, H, K, V).
    """
    del weights
    v = inputs["v"]  # (B, T, H, V)
    q, q_length = normalised(inputs["q"])  # (B, T, H, K), (B, T, H, 1)
    k, k_length = normalised(inputs["k"])  # (B, T, H, K), (B, T, H, 1)
    beta = sigmoid(inputs["beta"])  # (B, T, H)
    B, T, H, V = v.shape
    missing = np.empty_like(v)  # (B, T, H, V)
    states = np.empty((B, T + 1, H, k.shape[-1], V), v.dtype)  # (B, T + 1, H, K, V)
    states[:, 0] = initial_state["S"]
    for t in range(T):
        missing[:, t] = v[:, t] - np.einsum("bhkv,bhk->bhv", states[:, t], k[:, t])  # (B, H, V)
        learned = beta[:, t, :, None] * missing[:, t]  # (B, H, V): e_t
        states[:, t + 1] = states[:, t] + k[:, t, :, :, None] * learned[:, :, None]  # (B, H, K, V)
    outputs = np.einsum("bthkv,bthk->bthv", states[:, 1:], q)  # (B, T, H, V)
    return Cache(q, k, q_length, k_length, beta, missing, states, outputs)


def backward(weights: Arrays, cache: Cache, upstream: ndarray, upstream_state: Arrays) -> dict[str, ndarray]:
    """Carry the gradient back to everything that went in.

    Args:
        weights: those of ``forward``.
        cache: what ``forward`` returned.
        upstream: the gradient of the loss by the outputs, (B, T, H, V).
        upstream_state: the gradient of the loss by the last states, S (B, H, K, V).
    """
    del weights
    q, k, beta, missing = cache.q, cache.k, cache.beta, cache.missing
    dk, dv = np.empty_like(k), np.empty_like(missing)  # (B, T, H, K), (B, T, H, V)
    d_beta = np.empty_like(beta)  # (B, T, H)
    dS = upstream_state["S"]  # (B, H, K, V)
    for t in reversed(range(k.shape[1])):
        dS = dS + q[:, t, :, :, None] * upstream[:, t, :, None]  # (B, H, K, V)
        learned = beta[:, t, :, None] * missing[:, t]  # (B, H, V): e_t
        d_learned = np.einsum("bhkv,bhk->bhv", dS, k[:, t])  # (B, H, V)
        d_beta[:, t] = (d_learned * missing[:, t]).sum(-1)  # (B, H)
        dv[:, t] = beta[:, t, :, None] * d_learned  # (B, H, V): dr_t too
        writes = np.einsum("bhkv,bhv->bhk", dS, learned)  # (B, H, K)
        reads = np.einsum("bhkv,bhv->bhk", cache.states[:, t], dv[:, t])  # (B, H, K)
        dk[:, t] = writes - reads  # (B, H, K)
        dS = dS - k[:, t, :, :, None] * dv[:, t, :, None]  # (B, H, K, V)

    dq = np.einsum("bthkv,bthv->bthk", cache.states[:, 1:], upstream)  # (B, T, H, K)
    return {
        "inputs.q": before_normalisation(dq, q, cache.q_length),  # (B, T, H, K)
        "inputs.k": before_normalisation(dk, k, cache.k_length),  # (B, T, H, K)
        "inputs.v": dv,  # (B, T, H, V)
        "inputs.beta": d_beta * beta * (1 - beta),  # (B, T, H)
        "S0": dS,  # (B, H, K, V)
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
    return {**found, "outputs": cache.outputs, "last.S": cache.states[:, -1]}
