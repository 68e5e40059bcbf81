"""Passes written plainly, apart from the rules: a tanh layer and an lstm, with a readout where the case has one."""

from __future__ import annotations

import numpy as np


def carried_right(d_h, d_a, W_hh):
    return d_a @ W_hh.T


def carried_untransposed(d_h, d_a, W_hh):
    return d_a @ W_hh


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def read_out(problem, states, gradients):
    """The outputs, the loss and the gradient of the states (B, T, H); those of the readout are added."""
    weights = problem.weights
    outputs = states
    if "readout.W_hy" in weights:
        outputs = states @ weights["readout.W_hy"] + weights["readout.b_y"]
    loss, d_outputs = problem.loss(outputs)
    if "readout.W_hy" not in weights:
        return outputs, loss, d_outputs
    gradients["readout.W_hy"] = np.einsum("bth,bto->ho", states, d_outputs)
    gradients["readout.b_y"] = d_outputs.sum((0, 1))
    return outputs, loss, d_outputs @ weights["readout.W_hy"].T


def rnn(problem, *, carry=carried_right, added=0.0, slope=lambda h: 1 - h**2):
    """Every tensor of one tanh layer; ``added`` is added to the argument of tanh."""
    W_xh, W_hh, b_h = (problem.weights[f"layer0.{name}"] for name in ("W_xh", "W_hh", "b_h"))
    x, h = problem.inputs, [problem.initial_state["layer0.h0"]]
    for t in range(x.shape[1]):
        h.append(np.tanh(x[:, t] @ W_xh + h[-1] @ W_hh + b_h + added))
    found = {}
    outputs, loss, g = read_out(problem, np.stack(h[1:], 1), found)
    dW_xh, dW_hh, db_h, d_x = (np.zeros_like(each) for each in (W_xh, W_hh, b_h, x))
    back = np.zeros_like(h[0])
    for t in reversed(range(x.shape[1])):
        d_h = g[:, t] + back
        d_a = d_h * slope(h[t + 1])
        dW_xh += x[:, t].T @ d_a
        dW_hh += h[t].T @ d_a
        db_h += d_a.sum(0)
        d_x[:, t] = d_a @ W_xh.T
        back = carry(d_h, d_a, W_hh)
    own = {"layer0.W_xh": dW_xh, "layer0.W_hh": dW_hh, "layer0.b_h": db_h, "layer0.h0": back, "inputs": d_x}
    return {"loss": loss, "outputs": outputs, **found, **own}


def lstm(problem, *, peephole=0.0, through_peephole=True, carried=True, squash=np.tanh, slope_i=None, slope_g=None):
    """Every weight's gradient of one lstm layer; f also sees ``peephole`` times the cell before."""
    W, U, b = (problem.weights[f"layer0.{name}"] for name in ("W_xh", "W_hh", "b_h"))
    x, h, c = problem.inputs, [problem.initial_state["layer0.h0"]], [problem.initial_state["layer0.c0"]]
    gates = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ W + h[-1] @ U + b, 4, -1)
        i, f, g, o = sigmoid(i), sigmoid(f + peephole * c[-1]), np.tanh(g), sigmoid(o)
        c.append(f * c[-1] + i * g)
        h.append(o * squash(c[-1]))
        gates.append((i, f, g, o))
    found = {}
    outputs, loss, upstream = read_out(problem, np.stack(h[1:], 1), found)
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    dh, dc = np.zeros_like(h[0]), np.zeros_like(c[0])
    for t in reversed(range(x.shape[1])):
        i, f, g, o = gates[t]
        dh = dh + upstream[:, t]
        dc = dc + dh * o * (1 - np.tanh(c[t + 1]) ** 2 if squash is np.tanh else 1)
        d_f = dc * c[t] * f * (1 - f)
        d_i = dc * g * (i * (1 - i) if slope_i is None else slope_i(i))
        d_g = dc * i * (1 - g**2 if slope_g is None else slope_g(g, c[t + 1]))
        d_a = np.concatenate([d_i, d_f, d_g, dh * squash(c[t + 1]) * o * (1 - o)], -1)
        dW += x[:, t].T @ d_a
        dU += h[t].T @ d_a
        db += d_a.sum(0)
        dh, dc = d_a @ U.T * carried, dc * f * carried + d_f * peephole * through_peephole
    return {"loss": loss, "outputs": outputs, **found, "layer0.W_xh": dW, "layer0.W_hh": dU, "layer0.b_h": db}
