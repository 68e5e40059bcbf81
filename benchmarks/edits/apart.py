"""Recurrences and backward passes that were kept apart until the rules of the diagnosis were final."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.edits.passes import sigmoid
from harness.recurrences import recurrence


@recurrence(weights={"W": "I 3*H", "U": "H 3*H", "b": "3*H"}, inputs={"x": "I"}, state={"h": "H", "c": "H"})
def coupled_lstm(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Return a step of the LSTM whose input gate is one minus its forget gate."""
    H = s["h"].shape[-1]
    a = x["x"] @ w["W"] + s["h"] @ w["U"] + w["b"]
    f, g, o = xp.sigmoid(a[:, :H]), xp.tanh(a[:, H : 2 * H]), xp.sigmoid(a[:, 2 * H :])
    c = f * s["c"] + (1 - f) * g
    h = o * xp.tanh(c)
    return {"h": h, "c": c}, h


def coupled_lstm_pass(problem: Any) -> dict[str, Any]:
    """Return the gradients of ``coupled_lstm``."""
    W, U, b = problem.weights["W"], problem.weights["U"], problem.weights["b"]
    x, h, c = problem.inputs["x"], problem.initial_state["h"], problem.initial_state["c"]
    T, H = x.shape[1], h.shape[1]
    kept = []
    for t in range(T):
        a = x[:, t] @ W + h @ U + b
        f, g, o = sigmoid(a[:, :H]), np.tanh(a[:, H : 2 * H]), sigmoid(a[:, 2 * H :])
        c_new = f * c + (1 - f) * g
        kept.append((h, c, f, g, o, c_new))
        h, c = o * np.tanh(c_new), c_new
    dW, dU, db, dx = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b), np.zeros_like(x)
    dh, dc = problem.upstream_state["h"].copy(), problem.upstream_state["c"].copy()
    for t in reversed(range(T)):
        h, c, f, g, o, c_new = kept[t]
        dh += problem.upstream[:, t]
        tc = np.tanh(c_new)
        dc = dc + dh * o * (1 - tc**2)
        df = dc * (c - g) * f * (1 - f)
        dg = dc * (1 - f) * (1 - g**2)
        do = dh * tc * o * (1 - o)
        da = np.concatenate([df, dg, do], 1)
        dW += x[:, t].T @ da
        dU += h.T @ da
        db += da.sum(0)
        dx[:, t] = da @ W.T
        dh = da @ U.T
        dc = dc * f
    return {"W": dW, "U": dU, "b": db, "inputs.x": dx, "h0": dh, "c0": dc}


@recurrence(
    weights={"W": "I 4*H", "R": "H 4*H", "b": "4*H"},
    inputs={"x": "I"},
    state={"h": "H", "c": "H", "n": "H"},
    positive=("n",),
)
def slstm(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Return a step of the sLSTM with a normaliser and an exponential input gate."""
    H = s["h"].shape[-1]
    a = x["x"] @ w["W"] + s["h"] @ w["R"] + w["b"]
    i, f = xp.exp(a[:, :H]), xp.sigmoid(a[:, H : 2 * H])
    z, o = xp.tanh(a[:, 2 * H : 3 * H]), xp.sigmoid(a[:, 3 * H :])
    c, n = f * s["c"] + i * z, f * s["n"] + i
    h = o * c / n
    return {"h": h, "c": c, "n": n}, h


def slstm_pass(problem: Any) -> dict[str, Any]:
    """Return the gradients of ``slstm``."""
    W, R, b = problem.weights["W"], problem.weights["R"], problem.weights["b"]
    x = problem.inputs["x"]
    h, c, n = (problem.initial_state[name] for name in ("h", "c", "n"))
    T, H = x.shape[1], h.shape[1]
    kept = []
    for t in range(T):
        a = x[:, t] @ W + h @ R + b
        i, f = np.exp(a[:, :H]), sigmoid(a[:, H : 2 * H])
        z, o = np.tanh(a[:, 2 * H : 3 * H]), sigmoid(a[:, 3 * H :])
        c_new, n_new = f * c + i * z, f * n + i
        kept.append((h, c, n, i, f, z, o, c_new, n_new))
        h, c, n = o * c_new / n_new, c_new, n_new
    dW, dR, db, dx = np.zeros_like(W), np.zeros_like(R), np.zeros_like(b), np.zeros_like(x)
    dh, dc, dn = (problem.upstream_state[name].copy() for name in ("h", "c", "n"))
    for t in reversed(range(T)):
        h, c, n, i, f, z, o, c_new, n_new = kept[t]
        dh = dh + problem.upstream[:, t]
        dc = dc + dh * o / n_new
        dn = dn - dh * o * c_new / n_new**2
        do = dh * c_new / n_new
        di = dc * z + dn
        df = dc * c + dn * n
        dz = dc * i
        da = np.concatenate([di * i, df * f * (1 - f), dz * (1 - z**2), do * o * (1 - o)], 1)
        dW += x[:, t].T @ da
        dR += h.T @ da
        db += da.sum(0)
        dx[:, t] = da @ W.T
        dh = da @ R.T
        dc = dc * f
        dn = dn * f
    return {"W": dW, "R": dR, "b": db, "inputs.x": dx, "h0": dh, "c0": dc, "n0": dn}


@recurrence(
    weights={},
    inputs={"r": "K", "w": "K", "k": "K", "v": "V", "a": "K", "b": "K"},
    state={"S": "V K"},
)
def rwkv7(xp: Any, _: Any, x: Any, s: Any) -> Any:
    """Return a step of RWKV-7's generalised delta rule."""
    decay = xp.exp(-xp.exp(x["w"]))
    sa = xp.einsum("bvk,bk->bv", s["S"], x["a"])
    S = s["S"] * decay[:, None, :] + xp.einsum("bv,bk->bvk", sa, x["b"]) + xp.einsum("bv,bk->bvk", x["v"], x["k"])
    return {"S": S}, xp.einsum("bvk,bk->bv", S, x["r"])


def rwkv7_pass(problem: Any) -> dict[str, Any]:
    """Return the gradients of ``rwkv7``."""
    r, w, k, v, a, b = (problem.inputs[name] for name in ("r", "w", "k", "v", "a", "b"))
    T = r.shape[1]
    S = problem.initial_state["S"]
    kept = []
    for t in range(T):
        decay = np.exp(-np.exp(w[:, t]))
        sa = np.einsum("bvk,bk->bv", S, a[:, t])
        S_new = S * decay[:, None, :] + sa[:, :, None] * b[:, t, None, :] + v[:, t, :, None] * k[:, t, None, :]
        kept.append((S, decay, sa, S_new))
        S = S_new
    dr, dw, dk, dv, da, db = (np.zeros_like(each) for each in (r, w, k, v, a, b))
    dS = problem.upstream_state["S"].copy()
    for t in reversed(range(T)):
        S, decay, sa, S_new = kept[t]
        dy = problem.upstream[:, t]
        dr[:, t] = np.einsum("bv,bvk->bk", dy, S_new)
        dS = dS + np.einsum("bv,bk->bvk", dy, r[:, t])
        dk[:, t] = np.einsum("bvk,bv->bk", dS, v[:, t])
        dv[:, t] = np.einsum("bvk,bk->bv", dS, k[:, t])
        dsa = np.einsum("bvk,bk->bv", dS, b[:, t])
        db[:, t] = np.einsum("bvk,bv->bk", dS, sa)
        da[:, t] = np.einsum("bv,bvk->bk", dsa, S)
        ddecay = (dS * S).sum(1)
        dw[:, t] = -ddecay * decay * np.exp(w[:, t])
        dS = dS * decay[:, None, :] + np.einsum("bv,bk->bvk", dsa, a[:, t])
    return {"inputs.r": dr, "inputs.w": dw, "inputs.k": dk, "inputs.v": dv, "inputs.a": da, "inputs.b": db, "S0": dS}


PASSES = (
    (coupled_lstm, coupled_lstm_pass),
    (slstm, slstm_pass),
    (rwkv7, rwkv7_pass),
)
"""Each recurrence with its backward pass."""
