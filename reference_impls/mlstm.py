r"""mLSTM: a matrix memory with exponential gates, stabilised by a running maximum.

H is the number of heads, K the width of keys and queries, V that of values. Forward, for t = 1 … T, for each head from
given C_0, n_0 and m_0 (Beck, Pöppel, Spanring, Auer, Prudnikova, Kopp, Klambauer, Brandstetter and Hochreiter 2024,
"xLSTM: Extended Long Short-Term Memory"; the gates' pre-activations f̃ and ĩ are inputs):

    l_t = log σ(f̃_t) + m_{t-1}                  (B, H): the logarithm of what the old memory weighs
    m_t = max(l_t, ĩ_t)                         (B, H)
    f_t = exp(l_t − m_t),   i_t = exp(ĩ_t − m_t)        (B, H): one of them is 1
    k'_t = k_t / √K                             (B, H, K)
    C_t = f_t C_{t-1} + i_t v_t k'_tᵀ           (B, H, V, K)
    n_t = f_t n_{t-1} + i_t k'_t                (B, H, K)
    w_t = max(|n_t·q_t|, exp(−m_t))             (B, H)
    y_t = C_t q_t / w_t                         (B, H, V)

Backward. dC_t, dn_t and dm_t are the whole gradients. The output first; w_t gets −(g^out_t·y_t) / w_t, and hands it to
the side of the maximum that was larger:

    dw_t = −(g^out_t·y_t) / w_t                 (B, H)
    ds_t = dw_t sign(n_t·q_t) where |n_t·q_t| ≥ exp(−m_t), else 0           (B, H)
    dm_t = dm_{t+1 on} − (dw_t exp(−m_t) where exp(−m_t) is larger, else 0) (B, H)
    dC_t = f_{t+1} dC_{t+1} + (g^out_t / w_t) q_tᵀ                           (B, H, V, K)
    dn_t = f_{t+1} dn_{t+1} + ds_t q_t          (B, H, K)
    dq_t = C_tᵀ g^out_t / w_t + ds_t n_t        (B, H, K)

Then the memory, which is linear in each factor:

    df_t = ⟨dC_t, C_{t-1}⟩ + dn_t·n_{t-1},   di_t = v_t·(dC_t k'_t) + dn_t·k'_t     (B, H)
    dv_t = i_t dC_t k'_t,   dk'_t = i_t (dC_tᵀ v_t + dn_t),   dk_t = dk'_t / √K

Last the stabiliser. Both exponents hold −m_t, and m_t is one of l_t and ĩ_t:

    dm_t ← dm_t − f_t df_t − i_t di_t
    dl_t = f_t df_t + (dm_t where l_t ≥ ĩ_t),   dĩ_t = i_t di_t + (dm_t where l_t < ĩ_t)
    df̃_t = dl_t σ(−f̃_t),   dm_{t-1} = dl_t

Much code takes m for a constant and drops every dm. For a loss of the outputs alone that changes nothing: m_t scales
C_t, n_t and the floor alike, so dm_t is zero once the first of these lines has added it up. A loss of the last states,
which are scaled by exp(−m_T), needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

Arrays = Mapping[str, ndarray]


class Cache(NamedTuple):
    """Values of the forward pass that the backward pass needs, batch first."""

    inputs: Arrays  # q, k: (B, T, H, K); v: (B, T, H, V); i, f: (B, T, H)
    k: ndarray  # (B, T, H, K): k'_t
    f: ndarray  # (B, T, H): f_t
    i: ndarray  # (B, T, H): i_t
    old_is_larger: ndarray  # (B, T, H): whether l_t ≥ ĩ_t
    C: ndarray  # (B, T + 1, H, V, K): C_0, C_1, …, C_T
    n: ndarray  # (B, T + 1, H, K)
    m: ndarray  # (B, T + 1, H)
    weight: ndarray  # (B, T, H): w_t
    outputs: ndarray  # (B, T, H, V)


def sigmoid(a: ndarray) -> ndarray:
    """Return 1 / (1 + exp(−a)), computed so that nothing overflows."""
    return np.exp(-np.logaddexp(0, -a))


def forward(weights: Arrays, inputs: Arrays, initial_state: Arrays) -> Cache:
    """Run the layer over whole sequences.

    Args:
        weights: none, by name.
        inputs: q, k (B, T, H, K), v (B, T, H, V), i, f (B, T, H), by name.
        initial_state: C (B, H, V, K), n (B, H, K), m (B, H).
    """
    del weights
    q, v = inputs["q"], inputs["v"]  # (B, T, H, K), (B, T, H, V)
    B, T, H, K = q.shape
    k = inputs["k"] * K**-0.5  # (B, T, H, K)
    log_forget = -np.logaddexp(0, -inputs["f"])  # (B, T, H): log σ(f̃_t)
    f, i = np.empty((2, B, T, H), q.dtype)  # (B, T, H) each
    old_is_larger = np.empty((B, T, H), np.bool_)  # (B, T, H)
    C = np.empty((B, T + 1, H, v.shape[-1], K), q.dtype)  # (B, T + 1, H, V, K)
    n = np.empty((B, T + 1, H, K), q.dtype)  # (B, T + 1, H, K)
    m = np.empty((B, T + 1, H), q.dtype)  # (B, T + 1, H)
    C[:, 0], n[:, 0], m[:, 0] = initial_state["C"], initial_state["n"], initial_state["m"]
    for t in range(T):
        old, new = log_forget[:, t] + m[:, t], inputs["i"][:, t]  # (B, H) each: l_t, ĩ_t
        old_is_larger[:, t] = old >= new  # (B, H)
        m[:, t + 1] = np.maximum(old, new)  # (B, H)
        f[:, t], i[:, t] = np.exp(old - m[:, t + 1]), np.exp(new - m[:, t + 1])  # (B, H) each
        added = v[:, t, :, :, None] * k[:, t, :, None]  # (B, H, V, K)
        C[:, t + 1] = f[:, t, :, None, None] * C[:, t] + i[:, t, :, None, None] * added  # (B, H, V, K)
        n[:, t + 1] = f[:, t, :, None] * n[:, t] + i[:, t, :, None] * k[:, t]  # (B, H, K)
    weight = np.maximum(np.abs((n[:, 1:] * q).sum(-1)), np.exp(-m[:, 1:]))  # (B, T, H)
    outputs = np.einsum("bthvk,bthk->bthv", C[:, 1:], q) / weight[..., None]  # (B, T, H, V)
    return Cache(inputs, k, f, i, old_is_larger, C, n, m, weight, outputs)


def backward(weights: Arrays, cache: Cache, upstream: ndarray, upstream_state: Arrays) -> dict[str, ndarray]:
    """Carry the gradient back to everything that went in.

    Args:
        weights: those of ``forward``.
        cache: what ``forward`` returned.
        upstream: the gradient of the loss by the outputs, (B, T, H, V).
        upstream_state: the gradient of the loss by the last states, C (B, H, V, K), n (B, H, K), m (B, H).
    """
    del weights
    q, v, k, f, i = cache.inputs["q"], cache.inputs["v"], cache.k, cache.f, cache.i
    floor = np.exp(-cache.m[:, 1:])  # (B, T, H)
    s = (cache.n[:, 1:] * q).sum(-1)  # (B, T, H): n_t·q_t
    d_weight = -(upstream * cache.outputs).sum(-1) / cache.weight  # (B, T, H)
    ds = np.where(np.abs(s) >= floor, d_weight * np.sign(s), 0)  # (B, T, H)
    from_floor = np.where(np.abs(s) >= floor, 0, -d_weight * floor)  # (B, T, H)
    scaled = upstream / cache.weight[..., None]  # (B, T, H, V)
    dq = np.einsum("bthvk,bthv->bthk", cache.C[:, 1:], scaled) + ds[..., None] * cache.n[:, 1:]  # (B, T, H, K)

    dk, dv, d_old, d_new = np.empty_like(k), np.empty_like(v), np.empty_like(f), np.empty_like(i)
    dC, dn, dm = upstream_state["C"], upstream_state["n"], upstream_state["m"]  # (B, H, V, K), (B, H, K), (B, H)
    for t in reversed(range(k.shape[1])):
        dC = dC + scaled[:, t, :, :, None] * q[:, t, :, None]  # (B, H, V, K)
        dn = dn + ds[:, t, :, None] * q[:, t]  # (B, H, K)
        of_value = np.einsum("bhvk,bhk->bhv", dC, k[:, t])  # (B, H, V)
        of_key = np.einsum("bhvk,bhv->bhk", dC, v[:, t]) + dn  # (B, H, K)
        dv[:, t] = i[:, t, :, None] * of_value  # (B, H, V)
        dk[:, t] = i[:, t, :, None] * of_key  # (B, H, K): dk'_t
        d_old[:, t] = f[:, t] * ((dC * cache.C[:, t]).sum((-1, -2)) + (dn * cache.n[:, t]).sum(-1))  # (B, H)
        d_new[:, t] = i[:, t] * (k[:, t] * of_key).sum(-1)  # (B, H)
        dm = dm + from_floor[:, t] - d_old[:, t] - d_new[:, t]  # (B, H)
        d_old[:, t] += np.where(cache.old_is_larger[:, t], dm, 0)  # (B, H): now dl_t
        d_new[:, t] += np.where(cache.old_is_larger[:, t], 0, dm)  # (B, H): now dĩ_t
        dC = f[:, t, :, None, None] * dC  # (B, H, V, K)
        dn = f[:, t, :, None] * dn  # (B, H, K)
        dm = d_old[:, t]  # (B, H)

    return {
        "inputs.q": dq,  # (B, T, H, K)
        "inputs.k": dk * k.shape[-1] ** -0.5,  # (B, T, H, K)
        "inputs.v": dv,  # (B, T, H, V)
        "inputs.i": d_new,  # (B, T, H)
        "inputs.f": d_old * sigmoid(-cache.inputs["f"]),  # (B, T, H)
        "C0": dC,  # (B, H, V, K)
        "n0": dn,  # (B, H, K)
        "m0": dm,  # (B, H)
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
    last = {"last.C": cache.C[:, -1], "last.n": cache.n[:, -1], "last.m": cache.m[:, -1]}
    return {**found, "outputs": cache.outputs, **last}
