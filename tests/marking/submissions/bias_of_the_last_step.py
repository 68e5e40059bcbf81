"""The gradient of the bias is that of one step."""

import numpy as np

import harness


@harness.implementation("mine")
def my_bptt(problem):
    if problem.case.cell != "rnn" or problem.case.activation != "tanh" or problem.case.layers != 1:
        raise harness.Unsupported("only one tanh layer")
    if problem.case.readout != "none" or problem.case.bidirectional or problem.lengths is not None:
        raise harness.Unsupported("no readout, one direction, equal lengths")
    if problem.case.truncation != "none":
        raise harness.Unsupported("only full gradients")
    W_xh, W_hh = problem.weights["layer0.W_xh"], problem.weights["layer0.W_hh"]  # (I, H), (H, H)
    b_h, x = problem.weights["layer0.b_h"], problem.inputs  # (H,), (B, T, I)
    h = [problem.initial_state["layer0.h0"]]  # (B, H)
    for t in range(x.shape[1]):
        h.append(np.tanh(x[:, t] @ W_xh + h[-1] @ W_hh + b_h))  # (B, H)
    outputs = np.stack(h[1:], axis=1)  # (B, T, H)
    loss, d_outputs = problem.loss(outputs)
    dW_xh, dW_hh, db_h = np.zeros_like(W_xh), np.zeros_like(W_hh), np.zeros_like(b_h)
    carried = np.zeros_like(h[0])  # (B, H)
    for t in reversed(range(x.shape[1])):
        d_a = (d_outputs[:, t] + carried) * (1 - h[t + 1] ** 2)  # (B, H)
        dW_xh += x[:, t].T @ d_a
        dW_hh += h[t].T @ d_a
        db_h = d_a.sum(axis=0)
        carried = d_a @ W_hh.T
    return {
        "loss": loss,
        "outputs": outputs,
        "layer0.W_xh": dW_xh,
        "layer0.W_hh": dW_hh,
        "layer0.b_h": db_h,
        "layer0.h0": carried,
    }
