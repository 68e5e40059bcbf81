"""Each recurrence against a second forward pass that shares nothing with its step: another form, or a native layer.

A witness maps weights, inputs (B, T, …) and initial states to the outputs (B, T, …) and the last states.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy import ndarray

from harness.derive.namespaces.numpy import xp
from harness.derive.stepping import Loop
from harness.recurrences import Recurrence, recurrences
from reference_impls import gru_split

Arrays = dict[str, Any]
Witness = Callable[[Arrays, Arrays, Arrays], tuple[ndarray, Arrays]]
RTOL = 1e-12


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def one_by_one(unit: Callable[..., Any], states: tuple[str, ...]) -> Witness:
    """Make a witness of ``unit(w, x, s, j)``, which returns the states and the output of unit j as plain numbers."""

    def witness(w, x, s):
        x = x["x"]
        B, T, _ = x.shape
        H = s[states[-1]].shape[1]
        outputs = np.empty((B, T, H))
        last = {name: s[name].copy() for name in states}
        for b in range(B):
            for t in range(T):
                before = {name: last[name][b].tolist() for name in states}
                for j in range(H):
                    after, outputs[b, t, j] = unit(w, x[b, t].tolist(), before, j)
                    for name in states:
                        last[name][b, j] = after[name]
        return outputs, last

    return witness


def dot(values: list[float], column: ndarray) -> float:
    return math.fsum(v * c for v, c in zip(values, column.tolist(), strict=True))


def logistic(v: float) -> float:
    return 0.5 + 0.5 * math.tanh(v / 2)


def peephole_unit(w, x, s, j):
    H = len(s["h"])
    i, f, g, o = (
        dot(x, w["W"][:, k * H + j]) + dot(s["h"], w["U"][:, k * H + j]) + w["b"][k * H + j] for k in range(4)
    )
    c = s["c"][j] * logistic(f + w["p_f"][j] * s["c"][j]) + math.tanh(g) * logistic(i + w["p_i"][j] * s["c"][j])
    h = math.tanh(c) * logistic(o + c * w["p_o"][j])
    return {"h": h, "c": c}, h


def coupled_unit(w, x, s, j):
    H = len(s["h"])
    f, g, o = (dot(x, w["W"][:, k * H + j]) + dot(s["h"], w["U"][:, k * H + j]) + w["b"][k * H + j] for k in range(3))
    c = math.tanh(g) + logistic(f) * (s["c"][j] - math.tanh(g))
    h = math.tanh(c) * logistic(o)
    return {"h": h, "c": c}, h


def sru_unit(w, x, s, j):
    c = s["c"][j]
    f = logistic(dot(x, w["W_f"][:, j]) + w["v_f"][j] * c + w["b_f"][j])
    r = logistic(dot(x, w["W_r"][:, j]) + w["v_r"][j] * c + w["b_r"][j])
    c = dot(x, w["W"][:, j]) + f * (c - dot(x, w["W"][:, j]))
    return {"c": c}, x[j] + r * (c - x[j])


def layer_norm_lstm(w, x, s):
    import torch
    from torch.nn.functional import layer_norm

    w, s = ({name: torch.tensor(v) for name, v in each.items()} for each in (w, s))
    h, c, outputs = s["h"], s["c"], []
    for each in torch.tensor(x["x"]).unbind(1):
        a = layer_norm(each @ w["W"], w["b"].shape, w["g_x"], w["b"]) + layer_norm(h @ w["U"], w["b"].shape, w["g_h"])
        i, f, g, o = a.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * layer_norm(c, c.shape[1:], w["g_c"], w["b_c"]).tanh()
        outputs.append(h)
    return torch.stack(outputs, 1).numpy(), {"h": h.numpy(), "c": c.numpy()}


def native(layer: Any, parameters: Arrays, x: Arrays, *states: ndarray) -> Any:
    """Run a layer of torch with given parameters; return its outputs and its last states, as arrays."""
    import torch

    layer = layer.double()
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(torch.tensor(parameters[name]))
        given = [torch.tensor(v)[None] for v in states]
        outputs, last = layer(torch.tensor(x["x"]), given[0] if len(given) == 1 else tuple(given))
    return outputs.numpy(), [v[0].numpy() for v in (last if isinstance(last, tuple) else (last,))]


def projection_lstm(w, x, s):
    import torch

    (I, _), (H, R) = w["W"].shape, w["P"].shape
    given = {"weight_ih_l0": w["W"].T, "weight_hh_l0": w["U"].T, "bias_ih_l0": w["b"], "weight_hr_l0": w["P"].T}
    given["bias_hh_l0"] = 0 * w["b"]
    layer = torch.nn.LSTM(I, H, proj_size=R, batch_first=True)
    outputs, (h, c) = native(layer, given, x, s["h"], s["c"])
    return outputs, {"h": h, "c": c}


def by_torch(layer: str) -> Witness:
    """Return torch's own layer; its second bias is zero but for the recurrent bias of a gru's candidate."""

    def witness(w: Arrays, x: Arrays, s: Arrays) -> Any:
        import torch

        (I, _), H = w["W_xh"].shape, w["W_hh"].shape[0]
        given = {"weight_ih_l0": w["W_xh"].T, "weight_hh_l0": w["W_hh"].T, "bias_ih_l0": w["b_h"]}
        given["bias_hh_l0"] = np.concatenate([0 * w["b_h"][: len(w["b_h"]) - H], w.get("b_hn", 0 * w["b_h"][-H:])])
        outputs, last = native(getattr(torch.nn, layer)(I, H, batch_first=True), given, x, *s.values())
        return outputs, dict(zip(s, last, strict=True))

    return witness


def gru_before(w, x, s):
    states = gru_split.forward(x["x"].swapaxes(0, 1), s["h"], w).states  # (T + 1, B, H)
    return states[1:].swapaxes(0, 1), {"h": states[-1]}


def ind_rnn(w, x, s):
    import torch

    given = {"weight_ih_l0": w["W"].T, "weight_hh_l0": np.diag(w["u"]), "bias_ih_l0": w["b"], "bias_hh_l0": 0 * w["b"]}
    outputs, (h,) = native(torch.nn.RNN(*w["W"].shape, nonlinearity="relu", batch_first=True), given, x, s["h"])
    return outputs, {"h": h}


def weighted(decay: ndarray, added: ndarray, h0: ndarray) -> ndarray:
    """Return h_1 … h_T, (B, T, …), of h = decay h₋ + added, as a sum over all earlier steps."""
    T = added.shape[1]
    decay = np.broadcast_to(decay, added.shape)
    return np.stack(
        [
            h0 * decay[:, : t + 1].prod(1) + sum(added[:, s] * decay[:, s + 1 : t + 1].prod(1) for s in range(t + 1))
            for t in range(T)
        ],
        1,
    )


def min_gru(w, x, s):
    z = sigmoid(x["x"] @ w["W_z"] + w["b_z"])
    v = x["x"] @ w["W_h"] + w["b_h"]
    g = np.exp(np.where(v >= 0, np.log(np.maximum(v, 0) + 0.5), -np.logaddexp(0, -v)))  # the paper's log_g
    h = weighted(1 - z, z * g, s["h"])
    return h, {"h": h[:, -1]}


def min_lstm(w, x, s):
    f, i = (np.log1p(np.exp(-(x["x"] @ w[f"W_{gate}"] + w[f"b_{gate}"]))) for gate in "fi")
    f = sigmoid(i - f)  # the paper's f' in logarithms: σ(−diff)
    h = weighted(f, (1 - f) * (x["x"] @ w["W_h"] + w["b_h"]), s["h"])
    return h, {"h": h[:, -1]}


def qrnn(w, x, s):
    x = np.concatenate([s["last"][:, None], x["x"]], 1)  # (B, T + 1, I)
    windows = np.lib.stride_tricks.sliding_window_view(x, 2, axis=1)  # (B, T, I, 2)
    z, f, o = (np.einsum("btik,kih->bth", windows, np.stack([w[f"{n}0"], w[f"{n}1"]])) for n in "ZFO")
    c = weighted(sigmoid(f), sigmoid(-f) * np.tanh(z), s["c"])
    return sigmoid(o) * c, {"c": c[:, -1], "last": x[:, -1]}


def lru(w, x, s):
    x = x["x"]
    T = x.shape[1]
    eigenvalue = np.exp(-np.exp(w["nu"]) + 1j * np.exp(w["theta"]))
    driven = np.exp(w["gamma"]) * (x @ (w["B_re"] + 1j * w["B_im"]))
    apart = np.arange(T)[:, None] - np.arange(T)  # (T, T)
    powers = np.where(apart[:, :, None] >= 0, eigenvalue ** np.maximum(apart, 0)[:, :, None], 0)
    h = np.einsum("tsn,bsn->btn", powers, driven)
    h = h + eigenvalue ** np.arange(1, T + 1)[:, None] * (s["re"] + 1j * s["im"])[:, None]
    return (h @ (w["C_re"] + 1j * w["C_im"])).real + w["D"] * x, {"re": h[:, -1].real, "im": h[:, -1].imag}


def selective_scan(w, x, s):
    dt = np.logaddexp(0, x["delta"] + w["dt_bias"])  # (B, T, E)
    passed = np.cumsum(dt, 1)
    A = -np.exp(w["A_log"])
    since = passed[:, :, None] - passed[:, None]  # (B, t, s, E)
    kept = np.exp(since[..., None] * A) * np.tri(dt.shape[1])[:, :, None, None]
    h = np.einsum("btsen,bse,bsn->bten", kept, dt * x["u"], x["B"])
    h = h + np.exp(passed[..., None] * A) * s["h"][:, None]
    y = (h * x["C"][:, :, None]).sum(-1) + w["D"] * x["u"]
    return y * x["z"] * sigmoid(x["z"]), {"h": h[:, -1]}


def packed_selective_scan(w, x, s):
    """Each packed sequence by itself, in the form of a matrix."""
    B, T, _ = x["u"].shape
    outputs, last = np.empty_like(x["u"]), {"h": np.empty_like(s["h"])}
    for b in range(B):
        starts = [0, *(t for t in range(1, T) if x["reset"][b, t])]
        for start, end in zip(starts, [*starts[1:], T], strict=True):
            part = {name: array[b : b + 1, start:end] for name, array in x.items()}
            h0 = s["h"][b : b + 1] if start == 0 and not x["reset"][b, 0] else np.zeros((1, *s["h"].shape[1:]))
            y, ends = selective_scan(w, part, {"h": h0})
            outputs[b, start:end], last["h"][b] = y[0], ends["h"][0]
    return outputs, last


def recurrent_dropout_lstm(w, x, s):
    """One sequence and one unit after the other: a dropped unit only forgets."""
    outputs = np.empty((*x["x"].shape[:2], s["h"].shape[1]))
    last = {name: array.copy() for name, array in s.items()}
    for b, sequence in enumerate(x["x"]):
        for t, seen in enumerate(sequence):
            a = np.concatenate([seen, last["h"][b], [1.0]]) @ np.vstack([w["W"], w["U"], w["b"]])
            for j, kept in enumerate(x["mask"][b, t]):
                i, f, g, o = a.reshape(4, -1)[:, j]
                last["c"][b, j] *= logistic(f)
                if kept:
                    last["c"][b, j] += logistic(i) * math.tanh(g)
                outputs[b, t, j] = math.tanh(last["c"][b, j]) * logistic(o)
            last["h"][b] = outputs[b, t]
    return outputs, last


def ssd(w, x, s):
    """The masked matrix form: L ∘ (C Bᵀ) times the inputs."""
    dt = np.logaddexp(0, x["dt"] + w["dt_bias"])  # (B, T, H)
    passed = np.cumsum(-dt * np.exp(w["A_log"]), 1)
    T = dt.shape[1]
    L = np.exp(passed[:, :, None] - passed[:, None]) * np.tri(T)[:, :, None]  # (B, t, s, H)
    y = np.einsum("btsh,btn,bsn,bsh,bshp->bthp", L, x["C"], x["B"], dt, x["x"])
    y = y + np.einsum("bth,bhpn,btn->bthp", np.exp(passed), s["h"], x["C"]) + w["D"][:, None] * x["x"]
    h = np.einsum("bsh,bsn,bsh,bshp->bhpn", L[:, -1], x["B"], dt, x["x"])
    return y, {"h": h + np.exp(passed[:, -1])[:, :, None, None] * s["h"]}


def rwkv4(w, x, s):
    """The paper's sums of exponentials, without a maximum."""
    numerator, denominator = np.exp(s["m"]) * s["a"], np.exp(s["m"]) * s["b"]
    decay, outputs, m = np.exp(-np.exp(w["w"])), [], s["m"]
    for k, v in zip(x["k"].swapaxes(0, 1), x["v"].swapaxes(0, 1), strict=True):
        bonus = np.exp(w["u"] + k)
        outputs.append((numerator + bonus * v) / (denominator + bonus))
        numerator, denominator = decay * numerator + np.exp(k) * v, decay * denominator + np.exp(k)
        m = np.maximum(m - np.exp(w["w"]), k)
    return np.stack(outputs, 1), {"a": numerator * np.exp(-m), "b": denominator * np.exp(-m), "m": m}


def by_transitions(transition: ndarray, added: ndarray, S0: ndarray) -> ndarray:
    """Return S_1 … S_T of S = A S₋ + added, each as a sum over products of transitions A, (B, T, H, N, N)."""
    found = []
    for t in range(added.shape[1]):
        product = np.broadcast_to(np.eye(S0.shape[-2]), transition[:, 0].shape)
        total = 0
        for s in range(t, -1, -1):
            total = total + product @ added[:, s]
            product = product @ transition[:, s]
        found.append(total + product @ S0)
    return np.stack(found, 1)


def rwkv7(w, x, s):
    K = x["k"].shape[-1]
    transition = np.exp(-np.exp(x["w"]))[..., None] * np.eye(K) + x["b"][..., :, None] * x["a"][..., None, :]
    S = by_transitions(transition, x["k"][..., :, None] * x["v"][..., None, :], s["S"].swapaxes(-1, -2))  # (B,T,H,K,V)
    return (x["r"][..., None, :] @ S)[..., 0, :], {"S": S[:, -1].swapaxes(-1, -2)}


def linear_attention(w, x, s):
    """Attention over all earlier steps, with the initial state beside it."""
    q, k = (np.where(x[n] > 0, x[n] + 1, np.exp(x[n])) for n in "qk")
    T = q.shape[1]
    scores = np.einsum("bthk,bshk->bhts", q, k) * np.tri(T)
    values = np.einsum("bhts,bshv->bthv", scores, x["v"]) + np.einsum("bthk,bhkv->bthv", q, s["S"])
    total = scores.sum(-1).swapaxes(1, 2) + np.einsum("bthk,bhk->bth", q, s["z"])
    last = {"S": s["S"] + np.einsum("bshk,bshv->bhkv", k, x["v"]), "z": s["z"] + k.sum(1)}
    return values / (total + 1e-6)[..., None], last


def delta_rule(x, S0, alpha):
    K = x["k"].shape[-1]
    q, k = (x[n] * ((x[n] ** 2).sum(-1, keepdims=True) + 1e-6) ** -0.5 for n in "qk")
    beta = sigmoid(x["beta"])[..., None, None]
    transition = alpha * (np.eye(K) - beta * k[..., :, None] * k[..., None, :])
    S = by_transitions(transition, beta * k[..., :, None] * x["v"][..., None, :], S0)
    return (q[..., None, :] @ S)[..., 0, :], {"S": S[:, -1]}


def delta_net(w, x, s):
    return delta_rule(x, s["S"], 1)


def gated_delta_net(w, x, s):
    alpha = (1 + np.exp(x["a"] + w["dt_bias"])) ** -np.exp(w["A_log"])
    return delta_rule(x, s["S"], alpha[..., None, None])


def mlstm(w, x, s):
    """The parallel form without stabilisation: a gated attention, and max(|n·q|, 1)."""
    k = x["k"] / math.sqrt(x["k"].shape[-1])
    passed = np.cumsum(np.log(sigmoid(x["f"])), 1)  # (B, T, H)
    log_gates = passed[:, :, None] - passed[:, None] + x["i"][:, None]  # (B, t, s, H)
    log_gates = np.where(np.tri(passed.shape[1])[:, :, None] > 0, log_gates, -np.inf)
    from_start = passed + s["m"][:, None]  # (B, T, H)
    gates = np.exp(log_gates)
    scores = gates * np.einsum("bthk,bshk->btsh", x["q"], k)
    values = np.einsum("btsh,bshv->bthv", scores, x["v"])
    values = values + np.exp(from_start)[..., None] * np.einsum("bthk,bhvk->bthv", x["q"], s["C"])
    total = scores.sum(2) + np.exp(from_start) * np.einsum("bthk,bhk->bth", x["q"], s["n"])
    h = values / np.maximum(np.abs(total), 1)[..., None]
    m = np.maximum(log_gates[:, -1].max(1), from_start[:, -1])  # (B, H)
    start = np.exp(from_start[:, -1] - m)
    kept = np.exp(log_gates[:, -1] - m[:, None])  # (B, s, H)
    C = start[..., None, None] * s["C"] + np.einsum("bsh,bshv,bshk->bhvk", kept, x["v"], k)
    n = start[..., None] * s["n"] + np.einsum("bsh,bshk->bhk", kept, k)
    return h, {"C": C, "n": n, "m": m}


def slstm(w, x, s):
    """Each head by itself, without stabilisation: c and n times exp(m)."""
    B, T, _ = x["x"].shape
    H, D = w["b"].shape[0], s["h"].shape[-1]
    outputs = np.empty((B, T, H, D))
    last = {name: np.empty((B, H, D)) for name in "hcnm"}
    for head in range(H):
        h, m = s["h"][:, head], s["m"][:, head]
        c, n = s["c"][:, head] * np.exp(m), s["n"][:, head] * np.exp(m)
        for t in range(T):
            a = np.hstack([x["x"][:, t], h]) @ np.vstack([w["W"][:, head], w["R"][head]]) + w["b"][head]
            i, f, z, o = np.split(a, 4, 1)
            c = sigmoid(f) * c + np.exp(i) * np.tanh(z)
            n = sigmoid(f) * n + np.exp(i)
            m = np.maximum(np.log(sigmoid(f)) + m, i)
            h = outputs[:, t, head] = sigmoid(o) * (c / n)
        for name, value in (("h", h), ("c", c * np.exp(-m)), ("n", n * np.exp(-m)), ("m", m)):
            last[name][:, head] = value
    return outputs, last


def rg_lru(w, x, s):
    r, i = (sigmoid(x["x"] @ w[f"W_{n}"] + w[f"b_{n}"]) for n in "ax")
    a = sigmoid(-w["Lambda"]) ** (8 * r)  # softplus(Λ) = −log σ(−Λ)
    h = weighted(a, np.sqrt((1 - a) * (1 + a)) * i * x["x"], s["h"])
    return h, {"h": h[:, -1]}


def attention_decoder(w, x, s):
    """One sequence after the other, one row of the memory after the other."""
    memory, x, H = x["memory"], x["x"], s["h"].shape[1]
    outputs = np.empty((*x.shape[:2], H))
    for b in range(len(x)):
        h = s["h"][b]
        for t in range(x.shape[1]):
            scores = [float(w["v_a"] @ np.tanh(w["W_a"].T @ h + w["U_a"].T @ row)) for row in memory[b]]
            top = max(scores)
            shares = [math.exp(score - top) for score in scores]
            read = sum(share / math.fsum(shares) * row for share, row in zip(shares, memory[b], strict=True))
            seen, weights = np.concatenate([x[b, t], read]), np.vstack([w["W"], w["C"]])
            z, r, n = (seen @ weights[:, k : k + H] + w["b"][k : k + H] for k in (0, H, 2 * H))
            z, r = sigmoid(z + h @ w["U"][:, :H]), sigmoid(r + h @ w["U"][:, H : 2 * H])
            h = outputs[b, t] = h + z * (np.tanh(n + (r * h) @ w["U"][:, 2 * H :]) - h)
    return outputs, {"h": outputs[:, -1]}


WITNESSES: dict[str, Witness] = {
    "peephole_lstm": one_by_one(peephole_unit, ("h", "c")),
    "coupled_lstm": one_by_one(coupled_unit, ("h", "c")),
    "sru": one_by_one(sru_unit, ("c",)),
    "layer_norm_lstm": layer_norm_lstm,
    "projection_lstm": projection_lstm,
    "ind_rnn": ind_rnn,
    "min_gru": min_gru,
    "min_lstm": min_lstm,
    "qrnn": qrnn,
    "lru": lru,
    "selective_scan": selective_scan,
    "packed_selective_scan": packed_selective_scan,
    "recurrent_dropout_lstm": recurrent_dropout_lstm,
    "ssd": ssd,
    "rwkv4": rwkv4,
    "rwkv7": rwkv7,
    "linear_attention": linear_attention,
    "delta_net": delta_net,
    "gated_delta_net": gated_delta_net,
    "mlstm": mlstm,
    "slstm": slstm,
    "rg_lru": rg_lru,
    "attention_decoder": attention_decoder,
    "rnn": by_torch("RNN"),
    "lstm": by_torch("LSTM"),
    "gru": by_torch("GRU"),
    "gru_before": gru_before,
}
BY_TORCH = ("rnn", "lstm", "gru", "layer_norm_lstm", "projection_lstm", "ind_rnn")
MISTAKES = {
    "peephole_lstm": ('w["p_o"] * c)', 'w["p_o"] * s["c"])'),
    "coupled_lstm": ("(1 - f) * g", "f * g"),
    "sru": ('w["v_r"] * s["c"] + ', ""),
    "layer_norm_lstm": ("centred * centred", "v * v"),
    "projection_lstm": (' @ w["P"]  #', ' @ (0.99 * w["P"])  #'),
    "ind_rnn": ('w["u"] * ', ""),
    "min_gru": ("v + 0.5", "v"),
    "min_lstm": ("i / (f + i) * candidate", "i * candidate"),
    "qrnn": ('s["last"] @ w["O0"] + ', ""),
    "lru": ('re @ w["C_re"] - im', 're @ w["C_re"] + im'),
    "selective_scan": ("(dt * x", "(x"),
    "packed_selective_scan": ("decay * before", 'decay * s["h"]'),
    "recurrent_dropout_lstm": ('x["mask"] * ', ""),
    "ssd": ('dt[:, :, None] * x["x"]', 'dt[:, :1, None] * x["x"]'),
    "rwkv4": ('xp.exp(w["u"] + x["k"] - top)', 'xp.exp(x["k"] - top)'),
    "rwkv7": ('x["r"])', 'x["k"])'),
    "linear_attention": ("q * z", 'q * s["z"]'),
    "delta_net": ('k, s["S"])', 'x["k"], s["S"])'),
    "gated_delta_net": ("k, decayed)", 'k, s["S"])'),
    "mlstm": ("xp.exp(-m))", "1 + 0 * m)"),
    "slstm": ('* s["n"] + i', '* s["n"] + 1'),
    "rg_lru": ("expm1(2 *", "expm1("),
    "attention_decoder": ('(r * s["h"])', 's["h"]'),
    "rnn": ('s["h"] @', '0.99 * s["h"] @'),
    "lstm": ('f * s["c"]', 'i * s["c"]'),
    "gru": ('r * (b[:, 2 * H :] + w["b_hn"])', 'r * b[:, 2 * H :] + w["b_hn"]'),
    "gru_before": ('(r * s["h"])', 's["h"]'),
}


def matches(recurrence: Recurrence, problem: Any) -> bool:
    """Return whether the step and the witness agree on all outputs and last states of a problem."""
    outputs, last = problem.forward(Loop(xp))
    found = {"outputs": np.stack(outputs, 1), **last}
    outputs, last = WITNESSES[recurrence.name](problem.weights, problem.inputs, problem.initial_state)
    expected = {"outputs": outputs, **last}
    assert found.keys() == expected.keys()
    assert {name: v.shape for name, v in found.items()} == {name: v.shape for name, v in expected.items()}
    return all(np.abs(found[name] - v).max() <= RTOL * np.abs(v).max() for name, v in expected.items())


NAMES = [pytest.param(name, marks=[pytest.mark.framework("torch")] * (name in BY_TORCH)) for name in recurrences()]


@pytest.mark.parametrize("sizes", [{}, {"B": 1, "T": 1, "seed": 1}, {"T": 12, "seed": 2}], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_last_states(drawn, name, sizes):
    recurrence = recurrences()[name]
    assert matches(recurrence, drawn(recurrence, **sizes))


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_step_is_seen(drawn, name):
    right = recurrences()[name]
    source = Path(right.file).read_text(encoding="utf-8")
    assert source.count(MISTAKES[name][0]) == 1, MISTAKES[name]
    module = ModuleType(name)
    exec(compile(source.replace(*MISTAKES[name]), right.file, "exec"), module.__dict__)
    wrong = getattr(module, name)
    problem = drawn(right)
    assert matches(right, problem)
    assert not matches(wrong, drawn(wrong))


ROUTES = [
    "reverse",
    "forward mode",
    "complex step",
    *(pytest.param(name, marks=pytest.mark.framework(name)) for name in ("torch", "jax", "tensorflow")),
]


@pytest.mark.parametrize("route", ROUTES)
def test_the_slope_of_rg_lru_is_limited_where_its_decay_is_near_one(drawn, by_route, route):
    """1 − a² is 8e-10 there, so the slope of its root is 17,000, and 1,000 is taken."""
    problem = drawn(recurrences()["rg_lru"], H=1, B=1, T=1)
    near = problem.mapped(lambda name, v: np.full_like(v, {"Lambda": -23.0, "inputs.x": 1.0}.get(name, 0.0)))
    upstream = float(near.upstream[0, 0, 0] + near.upstream_state["h"][0, 0])
    of_square = 2 * 8 * 0.5 * sigmoid(-23.0)  # ∂(1 − a²)/∂Λ, with a² = 1 to nine digits and r = 1/2
    expected = upstream * 1000 * of_square * 0.5  # h = √(1 − a²) i x, with i = 1/2
    assert by_route[route](near)["Lambda"][0] == pytest.approx(expected, rel=1e-8)
