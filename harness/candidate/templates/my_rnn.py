"""Backpropagation through time by hand, to begin with: one tanh layer, with or without a linear readout.

    harness check THIS_FILE.py                      compares it with the baseline on every case
    harness check THIS_FILE.py basic/activations    on some

B sequences of T steps, I inputs, H hidden units, O outputs; the input stands on the left.

    forward     a_t = x_t W_xh + h_{t-1} W_hh + b_h        (B, H)
                h_t = tanh(a_t)                            (B, H)
                y_t = h_t W_hy + b_y                       (B, O), or y_t = h_t without a readout

    backward    dh_t = dy_t W_hyᵀ + da_{t+1} W_hhᵀ         (B, H): from the loss, and from the step after
                da_t = dh_t (1 − h_t²)                     (B, H)
                dW_xh = Σ_t x_tᵀ da_t    dW_hh = Σ_t h_{t-1}ᵀ da_t    db_h = Σ_t, batch da_t
                dx_t = da_t W_xhᵀ        dh_0 = da_1 W_hhᵀ
"""

import numpy as np

import harness


@harness.implementation("mine", layout="split")  # or concatenated, torch, keras, tf1: how weights are handed over
def my_bptt(problem: harness.Problem) -> dict[str, np.ndarray]:
    """One tanh layer by hand."""
    refuse_what_this_is_not_for(problem)
    W_xh = problem.weights["layer0.W_xh"]  # (I, H)
    W_hh = problem.weights["layer0.W_hh"]  # (H, H)
    b_h = problem.weights["layer0.b_h"]  # (H,)
    W_hy = problem.weights.get("readout.W_hy")  # (H, O), or None without a readout
    x = problem.inputs  # (B, T, I)
    B, T, _ = x.shape

    h = np.empty((B, T + 1, W_hh.shape[0]), x.dtype)  # (B, T + 1, H): h_0, h_1, …, h_T
    h[:, 0] = problem.initial_state["layer0.h0"]  # (B, H)
    for t in range(T):
        h[:, t + 1] = np.tanh(x[:, t] @ W_xh + h[:, t] @ W_hh + b_h)  # (B, H)
    outputs = h[:, 1:]  # (B, T, H)
    if W_hy is not None:
        outputs = outputs @ W_hy + problem.weights["readout.b_y"]  # (B, T, O)

    loss, d_outputs = problem.loss(outputs)  # (), and of the shape of outputs

    gradients = {name: np.zeros_like(array) for name, array in problem.weights.items()}
    d_h = d_outputs  # (B, T, H): from the loss alone
    if W_hy is not None:
        gradients["readout.W_hy"] = np.einsum("bth,bto->ho", h[:, 1:], d_outputs)  # (H, O)
        gradients["readout.b_y"] = d_outputs.sum(axis=(0, 1))  # (O,)
        d_h = d_outputs @ W_hy.T  # (B, T, H)
    d_inputs = np.empty_like(x)  # (B, T, I)
    from_after = np.zeros_like(h[:, 0])  # (B, H): da_{t+1} W_hhᵀ
    for t in reversed(range(T)):
        d_a = (d_h[:, t] + from_after) * (1 - h[:, t + 1] ** 2)  # (B, H)
        gradients["layer0.W_xh"] += x[:, t].T @ d_a  # (I, H)
        gradients["layer0.W_hh"] += h[:, t].T @ d_a  # (H, H): h[:, t] is the state before step t
        gradients["layer0.b_h"] += d_a.sum(axis=0)  # (H,)
        d_inputs[:, t] = d_a @ W_xh.T  # (B, I)
        from_after = d_a @ W_hh.T  # (B, H)
    return {"loss": loss, "outputs": outputs, **gradients, "inputs": d_inputs, "layer0.h0": from_after}


def refuse_what_this_is_not_for(problem: harness.Problem) -> None:
    """Raise harness.Unsupported for a case that the code above does not compute. That is no failure."""
    case = problem.case
    if case.cell != "rnn" or case.activation != "tanh":
        raise harness.Unsupported("only tanh cells")
    if case.layers != 1:
        raise harness.Unsupported("only one layer")
    if case.bidirectional:
        raise harness.Unsupported("only one direction")
    if case.lengths is not None:
        raise harness.Unsupported("only sequences of equal length")
    if case.truncation != "none":
        raise harness.Unsupported("only full gradients")
