"""A recurrence of its own, with a wrong gradient of the leak."""

import numpy as np

import harness


@harness.recurrence(weights={"W": "I H", "leak": "H"}, inputs={"x": "I"}, state={"h": "H"})
def leaky(xp, w, x, s):
    h = s["h"] * w["leak"] + xp.tanh(x["x"] @ w["W"])
    return {"h": h}, h


@harness.implementation("mine", recurrence=leaky)
def my_bptt(problem):
    W, leak, x = problem.weights["W"], problem.weights["leak"], problem.inputs["x"]  # (I, H), (H,), (B, T, I)
    h = [problem.initial_state["h"]]  # (B, H)
    for t in range(x.shape[1]):
        h.append(h[-1] * leak + np.tanh(x[:, t] @ W))
    carried = problem.upstream_state["h"]  # (B, H)
    dW, d_leak, dx = np.zeros_like(W), np.zeros_like(leak), np.zeros_like(x)
    for t in reversed(range(x.shape[1])):
        d_h = problem.upstream[:, t] + carried
        d_leak += (h[t + 1] * d_h).sum(axis=0)  # should be the state before the step
        d_a = d_h * (1 - np.tanh(x[:, t] @ W) ** 2)
        dW += x[:, t].T @ d_a
        dx[:, t] = d_a @ W.T
        carried = d_h * leak
    return {"W": dW, "leak": d_leak, "inputs.x": dx, "h0": carried}
