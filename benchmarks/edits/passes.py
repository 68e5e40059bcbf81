"""Seven recurrences and plainly written backward passes of them, which the rules of the diagnosis were not made for."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.recurrences import recurrence


def sigmoid(a: Any) -> Any:
    """Return the logistic function of each element."""
    return 1 / (1 + np.exp(-a))


@recurrence(weights={"W": "I H", "U": "H H", "b": "H"}, inputs={"x": "I"}, state={"h": "H"})
def rnn(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Return a step of the plain network."""
    h = xp.tanh(x["x"] @ w["W"] + s["h"] @ w["U"] + w["b"])
    return {"h": h}, h


def rnn_pass(problem: Any) -> dict[str, Any]:
    """Return the gradients of ``rnn``."""
    W, U, b = problem.weights["W"], problem.weights["U"], problem.weights["b"]
    x, h = problem.inputs["x"], problem.initial_state["h"]
    T = x.shape[1]
    hs = [h]
    for t in range(T):
        hs.append(np.tanh(x[:, t] @ W + hs[-1] @ U + b))
    dW, dU, db, dx = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b), np.zeros_like(x)
    dh = problem.upstream_state["h"].copy()
    for t in reversed(range(T)):
        dh = dh + problem.upstream[:, t]
        da = dh * (1 - hs[t + 1] ** 2)
        dW += x[:, t].T @ da
        dU += hs[t].T @ da
        db += da.sum(0)
        dx[:, t] = da @ W.T
        dh = da @ U.T
    return {"W": dW, "U": dU, "b": db, "inputs.x": dx, "h0": dh}


@recurrence(weights={"W": "I 4*H", "U": "H 4*H", "b": "4*H"}, inputs={"x": "I"}, state={"h": "H", "c": "H"})
def lstm(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Return a step of the LSTM, gates i, f, g, o."""
    H = s["h"].shape[-1]
    a = x["x"] @ w["W"] + s["h"] @ w["U"] + w["b"]
    i, f = xp.sigmoid(a[:, :H]), xp.sigmoid(a[:, H : 2 * H])
    g, o = xp.tanh(a[:, 2 * H : 3 * H]), xp.sigmoid(a[:, 3 * H :])
    c = f * s["c"] + i * g
    h = o * xp.tanh(c)
    return {"h": h, "c": c}, h


def lstm_pass(problem: Any) -> dict[str, Any]:
    """Return the gradients of ``lstm``."""
    W, U, b = problem.weights["W"], problem.weights["U"], problem.weights["b"]
    x = problem.inputs["x"]
    h, c = problem.initial_state["h"], problem.initial_state["c"]
    T, H = x.shape[1], h.shape[1]
    kept = []
    for t in range(T):
        a = x[:, t] @ W + h @ U + b
        i = sigmoid(a[:, :H])
        f = sigmoid(a[:, H : 2 * H])
        g = np.tanh(a[:, 2 * H : 3 * H])
        o = sigmoid(a[:, 3 * H :])
        c_new = f * c + i * g
        kept.append((h, c, i, f, g, o, c_new))
        h, c = o * np.tanh(c_new), c_new
    dW, dU, db, dx = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b), np.zeros_like(x)
    dh, dc = problem.upstream_state["h"].copy(), problem.upstream_state["c"].copy()
    for t in reversed(range(T)):
        h, c, i, f, g, o, c_new = kept[t]
        dh = dh + problem.upstream[:, t]
        tanh_c = np.tanh(c_new)
        dc = dc + dh * o * (1 - tanh_c**2)
        do = dh * tanh_c
        df = dc * c
        di = dc * g
        dg = dc * i
        da_i = di * i * (1 - i)
        da_f = df * f * (1 - f)
        da_g = dg * (1 - g**2)
        da_o = do * o * (1 - o)
        da = np.concatenate([da_i, da_f, da_g, da_o], 1)
        dW += x[:, t].T @ da
        dU += h.T @ da
        db += da.sum(0)
        dx[:, t] = da @ W.T
        dh = da @ U.T
        dc = dc * f
    return {"W": dW, "U": dU, "b": db, "inputs.x": dx, "h0": dh, "c0": dc}


@recurrence(
    weights={"W": "I 3*H", "U": "H 3*H", "b": "3*H", "b_n": "H"},
    inputs={"x": "I"},
    state={"h": "H"},
)
def gru(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Return a step of the GRU, gates r, z, n, reset after the product."""
    H, h = s["h"].shape[-1], s["h"]
    a, u = x["x"] @ w["W"] + w["b"], h @ w["U"]
    r = xp.sigmoid(a[:, :H] + u[:, :H])
    z = xp.sigmoid(a[:, H : 2 * H] + u[:, H : 2 * H])
    n = xp.tanh(a[:, 2 * H :] + r * (u[:, 2 * H :] + w["b_n"]))
    h = (1 - z) * n + z * h
    return {"h": h}, h


def gru_pass(problem: Any) -> dict[str, Any]:
    """Return the gradients of ``gru``."""
    W, U, b, b_n = (problem.weights[name] for name in ("W", "U", "b", "b_n"))
    x, h = problem.inputs["x"], problem.initial_state["h"]
    T, H = x.shape[1], h.shape[1]
    kept = []
    for t in range(T):
        a, u = x[:, t] @ W + b, h @ U
        r = sigmoid(a[:, :H] + u[:, :H])
        z = sigmoid(a[:, H : 2 * H] + u[:, H : 2 * H])
        m = u[:, 2 * H :] + b_n
        n = np.tanh(a[:, 2 * H :] + r * m)
        kept.append((h, r, z, m, n))
        h = (1 - z) * n + z * h
    dW, dU, db, db_n, dx = (np.zeros_like(each) for each in (W, U, b, b_n, x))
    dh = problem.upstream_state["h"].copy()
    for t in reversed(range(T)):
        h, r, z, m, n = kept[t]
        dh = dh + problem.upstream[:, t]
        dz = dh * (h - n)
        dn = dh * (1 - z)
        da_n = dn * (1 - n**2)
        dr = da_n * m
        dm = da_n * r
        da_r = dr * r * (1 - r)
        da_z = dz * z * (1 - z)
        da = np.concatenate([da_r, da_z, da_n], 1)
        du = np.concatenate([da_r, da_z, dm], 1)
        dW += x[:, t].T @ da
        dU += h.T @ du
        db += da.sum(0)
        db_n += dm.sum(0)
        dx[:, t] = da @ W.T
        dh = dh * z + du @ U.T
    return {"W": dW, "U": dU, "b": db, "b_n": db_n, "inputs.x": dx, "h0": dh}


@recurrence(
    weights={"W": "I 4*H", "U": "H 4*H", "b": "4*H", "p_i": "H", "p_f": "H", "p_o": "H"},
    inputs={"x": "I"},
    state={"h": "H", "c": "H"},
)
def peephole(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Return a step of the LSTM whose gates i, f, g, o see the cell."""
    H, c = s["h"].shape[-1], s["c"]
    a = x["x"] @ w["W"] + s["h"] @ w["U"] + w["b"]
    i = xp.sigmoid(a[:, :H] + w["p_i"] * c)
    f = xp.sigmoid(a[:, H : 2 * H] + w["p_f"] * c)
    g = xp.tanh(a[:, 2 * H : 3 * H])
    c = f * c + i * g
    o = xp.sigmoid(a[:, 3 * H :] + w["p_o"] * c)
    h = o * xp.tanh(c)
    return {"h": h, "c": c}, h


def peephole_pass(problem: Any) -> dict[str, Any]:
    """Return the gradients of ``peephole``."""
    W, U, b, p_i, p_f, p_o = (problem.weights[name] for name in ("W", "U", "b", "p_i", "p_f", "p_o"))
    x = problem.inputs["x"]
    T, H = x.shape[1], problem.initial_state["h"].shape[1]
    hs, cs, gates = [problem.initial_state["h"]], [problem.initial_state["c"]], []
    for t in range(T):
        a = x[:, t] @ W + hs[-1] @ U + b
        i = sigmoid(a[:, :H] + p_i * cs[-1])
        f = sigmoid(a[:, H : 2 * H] + p_f * cs[-1])
        g = np.tanh(a[:, 2 * H : 3 * H])
        cs.append(f * cs[-1] + i * g)
        o = sigmoid(a[:, 3 * H :] + p_o * cs[-1])
        hs.append(o * np.tanh(cs[-1]))
        gates.append((i, f, g, o))
    dW, dU, db, dx = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b), np.zeros_like(x)
    dp_i, dp_f, dp_o = np.zeros_like(p_i), np.zeros_like(p_f), np.zeros_like(p_o)
    dh_next, dc_next = problem.upstream_state["h"].copy(), problem.upstream_state["c"].copy()
    for t in reversed(range(T)):
        i, f, g, o = gates[t]
        dh = problem.upstream[:, t] + dh_next
        tc = np.tanh(cs[t + 1])
        do = dh * tc * o * (1 - o)
        dc = dc_next + dh * o * (1 - tc * tc) + do * p_o
        di = dc * g * i * (1 - i)
        df = dc * cs[t] * f * (1 - f)
        dg = dc * i * (1 - g * g)
        da = np.concatenate([di, df, dg, do], 1)
        dW += x[:, t].T @ da
        dU += hs[t].T @ da
        db += da.sum(0)
        dp_i += (di * cs[t]).sum(0)
        dp_f += (df * cs[t]).sum(0)
        dp_o += (do * cs[t + 1]).sum(0)
        dx[:, t] = da @ W.T
        dh_next = da @ U.T
        dc_next = dc * f + di * p_i + df * p_f
    return {
        "W": dW,
        "U": dU,
        "b": db,
        "p_i": dp_i,
        "p_f": dp_f,
        "p_o": dp_o,
        "inputs.x": dx,
        "h0": dh_next,
        "c0": dc_next,
    }


@recurrence(
    weights={"W_z": "I H", "b_z": "H", "W_h": "I H", "b_h": "H"},
    inputs={"x": "I"},
    state={"h": "H"},
)
def min_gru(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Return a step of minGRU."""
    z = xp.sigmoid(x["x"] @ w["W_z"] + w["b_z"])
    n = x["x"] @ w["W_h"] + w["b_h"]
    h = (1 - z) * s["h"] + z * n
    return {"h": h}, h


def min_gru_pass(problem: Any) -> dict[str, Any]:
    """Return the gradients of ``min_gru``."""
    W_z, b_z, W_h, b_h = (problem.weights[name] for name in ("W_z", "b_z", "W_h", "b_h"))
    x, h = problem.inputs["x"], problem.initial_state["h"]
    T = x.shape[1]
    kept = []
    for t in range(T):
        z, n = sigmoid(x[:, t] @ W_z + b_z), x[:, t] @ W_h + b_h
        kept.append((h, z, n))
        h = (1 - z) * h + z * n
    dW_z, db_z, dW_h, db_h, dx = (np.zeros_like(each) for each in (W_z, b_z, W_h, b_h, x))
    dh = problem.upstream_state["h"].copy()
    for t in reversed(range(T)):
        h, z, n = kept[t]
        dh = dh + problem.upstream[:, t]
        dz = dh * (n - h)
        da_z = dz * z * (1 - z)
        dn = dh * z
        dW_z += x[:, t].T @ da_z
        db_z += da_z.sum(0)
        dW_h += x[:, t].T @ dn
        db_h += dn.sum(0)
        dx[:, t] = da_z @ W_z.T + dn @ W_h.T
        dh = dh * (1 - z)
    return {"W_z": dW_z, "b_z": db_z, "W_h": dW_h, "b_h": db_h, "inputs.x": dx, "h0": dh}


@recurrence(weights={}, inputs={"q": "K", "k": "K", "v": "V", "beta": ""}, state={"S": "K V"})
def delta_net(xp: Any, _: Any, x: Any, s: Any) -> Any:
    """Return a step of DeltaNet, keys normalised."""
    k = x["k"] / xp.sqrt(xp.sum(x["k"] * x["k"], axis=-1, keepdims=True) + 1e-6)
    beta = xp.sigmoid(x["beta"])
    e = beta[:, None] * (x["v"] - xp.einsum("bk,bkv->bv", k, s["S"]))
    S = s["S"] + xp.einsum("bk,bv->bkv", k, e)
    return {"S": S}, xp.einsum("bk,bkv->bv", x["q"], S)


def delta_net_pass(problem: Any) -> dict[str, Any]:
    """Return the gradients of ``delta_net``."""
    q, raw, v, b = (problem.inputs[name] for name in ("q", "k", "v", "beta"))
    T = q.shape[1]
    S = problem.initial_state["S"]
    kept = []
    for t in range(T):
        norm = np.sqrt((raw[:, t] ** 2).sum(-1, keepdims=True) + 1e-6)
        k = raw[:, t] / norm
        beta = sigmoid(b[:, t])[:, None]
        r = v[:, t] - np.einsum("bk,bkv->bv", k, S)
        S_new = S + np.einsum("bk,bv->bkv", k, beta * r)
        kept.append((S, norm, k, beta, r, S_new))
        S = S_new
    dq, draw, dv, db = np.zeros_like(q), np.zeros_like(raw), np.zeros_like(v), np.zeros_like(b)
    dS = problem.upstream_state["S"].copy()
    for t in reversed(range(T)):
        S, norm, k, beta, r, S_new = kept[t]
        do = problem.upstream[:, t]
        dq[:, t] = np.einsum("bv,bkv->bk", do, S_new)
        dS = dS + np.einsum("bk,bv->bkv", q[:, t], do)
        dk = np.einsum("bkv,bv->bk", dS, beta * r)
        de = np.einsum("bkv,bk->bv", dS, k)
        dbeta = (de * r).sum(-1, keepdims=True)
        dr = de * beta
        dv[:, t] = dr
        dk = dk - np.einsum("bkv,bv->bk", S, dr)
        db[:, t] = (dbeta * beta * (1 - beta))[:, 0]
        draw[:, t] = (dk - k * (dk * k).sum(-1, keepdims=True)) / norm
        dS = dS - np.einsum("bk,bv->bkv", k, dr)
    return {"inputs.q": dq, "inputs.k": draw, "inputs.v": dv, "inputs.beta": db, "S0": dS}


@recurrence(
    weights={"A_log": "D N", "D": "D", "bias": "D"},
    inputs={"u": "D", "delta": "D", "B": "N", "C": "N", "z": "D"},
    state={"h": "D N"},
)
def selective_scan(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Return a step of Mamba's selective scan."""
    dt = xp.softplus(x["delta"] + w["bias"])
    a = xp.exp(-dt[:, :, None] * xp.exp(w["A_log"]))
    h = a * s["h"] + (dt * x["u"])[:, :, None] * x["B"][:, None, :]
    y = xp.einsum("bdn,bn->bd", h, x["C"]) + w["D"] * x["u"]
    return {"h": h}, y * xp.silu(x["z"])


def selective_scan_pass(problem: Any) -> dict[str, Any]:
    """Return the gradients of ``selective_scan``."""
    A, D, bias = -np.exp(problem.weights["A_log"]), problem.weights["D"], problem.weights["bias"]
    u, raw_dt, B, C, z = (problem.inputs[name] for name in ("u", "delta", "B", "C", "z"))
    T = u.shape[1]
    h = problem.initial_state["h"]
    kept = []
    for t in range(T):
        dt = np.log1p(np.exp(raw_dt[:, t] + bias))
        a = np.exp(dt[:, :, None] * A)
        h_new = a * h + (dt * u[:, t])[:, :, None] * B[:, t, None, :]
        y = np.einsum("bdn,bn->bd", h_new, C[:, t]) + D * u[:, t]
        kept.append((h, dt, a, h_new, y))
        h = h_new
    dA, dD, dbias = np.zeros_like(A), np.zeros_like(D), np.zeros_like(bias)
    du, ddelta, dB, dC, dz = (np.zeros_like(each) for each in (u, raw_dt, B, C, z))
    dh = problem.upstream_state["h"].copy()
    for t in reversed(range(T)):
        h, dt, a, h_new, y = kept[t]
        dout = problem.upstream[:, t]
        s = sigmoid(z[:, t])
        dz[:, t] = dout * y * (s + z[:, t] * s * (1 - s))
        dy = dout * z[:, t] * s
        dC[:, t] = np.einsum("bd,bdn->bn", dy, h_new)
        dD += (dy * u[:, t]).sum(0)
        dh = dh + np.einsum("bd,bn->bdn", dy, C[:, t])
        da = dh * h * a
        dA += (da * dt[:, :, None]).sum(0)
        dxb = np.einsum("bdn,bn->bd", dh, B[:, t])
        ddt = (da * A).sum(-1) + dxb * u[:, t]
        du[:, t] = dy * D + dxb * dt
        dB[:, t] = np.einsum("bdn,bd->bn", dh, dt * u[:, t])
        dpre = ddt * sigmoid(raw_dt[:, t] + bias)
        ddelta[:, t] = dpre
        dbias += dpre.sum(0)
        dh = dh * a
    return {
        "A_log": dA * A,
        "D": dD,
        "bias": dbias,
        "inputs.u": du,
        "inputs.delta": ddelta,
        "inputs.B": dB,
        "inputs.C": dC,
        "inputs.z": dz,
        "h0": dh,
    }


PASSES = (
    (rnn, rnn_pass),
    (lstm, lstm_pass),
    (gru, gru_pass),
    (peephole, peephole_pass),
    (min_gru, min_gru_pass),
    (delta_net, delta_net_pass),
    (selective_scan, selective_scan_pass),
)
"""Each recurrence with its backward pass."""
