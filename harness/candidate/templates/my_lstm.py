"""Backpropagation through time by hand, to begin with: one lstm layer, with or without a linear readout.

    harness check THIS_FILE.py                      compares it with the baseline on every case
    harness check THIS_FILE.py cells                on some

B sequences of T steps, I inputs, H hidden units, O outputs; the input stands on the left, the gates i, f, g, o side by
side in the columns. σ is the sigmoid.

    forward     a_t = x_t W_xh + h_{t-1} W_hh + b_h        (B, 4H)
                i_t, f_t, g_t, o_t = σ, σ, tanh, σ of the quarters of a_t      (B, H) each
                c_t = f_t c_{t-1} + i_t g_t                (B, H)
                h_t = o_t tanh(c_t)                        (B, H)
                y_t = h_t W_hy + b_y                       (B, O), or y_t = h_t without a readout

    backward    dh_t = dy_t W_hyᵀ + da_{t+1} W_hhᵀ         (B, H): from the loss, and from the step after
                dc_t = dh_t o_t (1 − tanh²(c_t)) + dc_{t+1} f_{t+1}            (B, H)
                da_t = [dc_t g_t i_t (1 − i_t), dc_t c_{t-1} f_t (1 − f_t),
                        dc_t i_t (1 − g_t²),    dh_t tanh(c_t) o_t (1 − o_t)]  (B, 4H)
                dW_xh = Σ_t x_tᵀ da_t    dW_hh = Σ_t h_{t-1}ᵀ da_t    db_h = Σ_t, batch da_t
                dx_t = da_t W_xhᵀ        dh_0 = da_1 W_hhᵀ            dc_0 = dc_1 f_1
"""

import numpy as np

import harness


@harness.implementation("mine", layout="split")  # or concatenated, torch, keras, tf1: how weights are handed over
def my_bptt(problem: harness.Problem) -> dict[str, np.ndarray]:
    """One lstm layer by hand."""
    refuse_what_this_is_not_for(problem)
    W_xh = problem.weights["layer0.W_xh"]  # (I, 4H)
    W_hh = problem.weights["layer0.W_hh"]  # (H, 4H)
    b_h = problem.weights["layer0.b_h"]  # (4H,)
    W_hy = problem.weights.get("readout.W_hy")  # (H, O), or None without a readout
    x = problem.inputs  # (B, T, I)
    B, T, _ = x.shape
    H = W_hh.shape[0]

    h = np.empty((B, T + 1, H), x.dtype)  # (B, T + 1, H): h_0, h_1, …, h_T
    c = np.empty((B, T + 1, H), x.dtype)  # (B, T + 1, H)
    gates = np.empty((B, T, 4, H), x.dtype)  # (B, T, 4, H): i_t, f_t, g_t, o_t
    h[:, 0] = problem.initial_state["layer0.h0"]  # (B, H)
    c[:, 0] = problem.initial_state["layer0.c0"]  # (B, H)
    for t in range(T):
        a_i, a_f, a_g, a_o = np.split(x[:, t] @ W_xh + h[:, t] @ W_hh + b_h, 4, axis=1)  # (B, H) each
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)  # (B, H) each
        c[:, t + 1] = f * c[:, t] + i * g  # (B, H)
        h[:, t + 1] = o * np.tanh(c[:, t + 1])  # (B, H)
        gates[:, t] = np.stack([i, f, g, o], axis=1)  # (B, 4, H)
    outputs = h[:, 1:]  # (B, T, H)
    if W_hy is not None:
        outputs = outputs @ W_hy + problem.weights["readout.b_y"]  # (B, T, O)

    loss, d_outputs = problem.loss(outputs)  # (), and of the shape of outputs

    gradients = {name: np.zeros_like(array) for name, array in problem.weights.items()}
    d_h_of_loss = d_outputs  # (B, T, H)
    if W_hy is not None:
        gradients["readout.W_hy"] = np.einsum("bth,bto->ho", h[:, 1:], d_outputs)  # (H, O)
        gradients["readout.b_y"] = d_outputs.sum(axis=(0, 1))  # (O,)
        d_h_of_loss = d_outputs @ W_hy.T  # (B, T, H)
    d_inputs = np.empty_like(x)  # (B, T, I)
    d_h_after = np.zeros_like(h[:, 0])  # (B, H): da_{t+1} W_hhᵀ
    d_c_after = np.zeros_like(h[:, 0])  # (B, H): dc_{t+1} f_{t+1}
    for t in reversed(range(T)):
        i, f, g, o = np.moveaxis(gates[:, t], 1, 0)  # (B, H) each
        tanh_c = np.tanh(c[:, t + 1])  # (B, H)
        d_h = d_h_of_loss[:, t] + d_h_after  # (B, H)
        d_c = d_h * o * (1 - tanh_c**2) + d_c_after  # (B, H)
        d_a = np.concatenate(
            [
                d_c * g * i * (1 - i),
                d_c * c[:, t] * f * (1 - f),  # c[:, t] is the cell before step t
                d_c * i * (1 - g**2),
                d_h * tanh_c * o * (1 - o),
            ],
            axis=1,
        )  # (B, 4H)
        gradients["layer0.W_xh"] += x[:, t].T @ d_a  # (I, 4H)
        gradients["layer0.W_hh"] += h[:, t].T @ d_a  # (H, 4H): h[:, t] is the state before step t
        gradients["layer0.b_h"] += d_a.sum(axis=0)  # (4H,)
        d_inputs[:, t] = d_a @ W_xh.T  # (B, I)
        d_h_after = d_a @ W_hh.T  # (B, H)
        d_c_after = d_c * f  # (B, H)
    d_states = {"layer0.h0": d_h_after, "layer0.c0": d_c_after}  # (B, H) each
    return {"loss": loss, "outputs": outputs, **gradients, "inputs": d_inputs, **d_states}


def sigmoid(a: np.ndarray) -> np.ndarray:
    """Return σ(a) = 1 / (1 + e^{-a}), written so that nothing overflows."""
    return (1 + np.tanh(a / 2)) / 2


def refuse_what_this_is_not_for(problem: harness.Problem) -> None:
    """Raise harness.Unsupported for a case that the code above does not compute. That is no failure."""
    case = problem.case
    if case.cell != "lstm":
        raise harness.Unsupported("only lstm cells")
    if case.layers != 1:
        raise harness.Unsupported("only one layer")
    if case.bidirectional:
        raise harness.Unsupported("only one direction")
    if case.lengths is not None:
        raise harness.Unsupported("only sequences of equal length")
    if case.truncation != "none":
        raise harness.Unsupported("only full gradients")
