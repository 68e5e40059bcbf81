"""Backpropagation through time by hand, to begin with: one gru layer, with or without a linear readout.

    harness check THIS_FILE.py                      compares it with the baseline on every case
    harness check THIS_FILE.py cells                on some

The reset gate comes after the recurrent product, as in torch and in Keras' default, so that the candidate has a bias of
its own there, b_hn.

B sequences of T steps, I inputs, H hidden units, O outputs; the input stands on the left, the gates r, z, n side by
side in the columns. σ is the sigmoid.

    forward     u_t = x_t W_xh + b_h                       (B, 3H)
                v_t = h_{t-1} W_hh + [0, 0, b_hn]          (B, 3H)
                r_t, z_t = σ(u^r_t + v^r_t), σ(u^z_t + v^z_t)                  (B, H) each
                n_t = tanh(u^n_t + r_t v^n_t)              (B, H)
                h_t = (1 − z_t) n_t + z_t h_{t-1}          (B, H)
                y_t = h_t W_hy + b_y                       (B, O), or y_t = h_t without a readout

    backward    dh_t = dy_t W_hyᵀ + dh_{t+1} z_{t+1} + dv_{t+1} W_hhᵀ          (B, H): from the loss, and the step after
                dn_t = dh_t (1 − z_t) (1 − n_t²)           (B, H): of what the candidate's tanh is taken of
                dr_t = dn_t v^n_t r_t (1 − r_t)            (B, H)
                dz_t = dh_t (h_{t-1} − n_t) z_t (1 − z_t)  (B, H)
                du_t = [dr_t, dz_t, dn_t]                  (B, 3H)
                dv_t = [dr_t, dz_t, dn_t r_t]              (B, 3H)
                dW_xh = Σ_t x_tᵀ du_t        db_h = Σ_t, batch du_t
                dW_hh = Σ_t h_{t-1}ᵀ dv_t    db_hn = Σ_t, batch dv^n_t
                dx_t = du_t W_xhᵀ        dh_0 = dh_1 z_1 + dv_1 W_hhᵀ
"""

import numpy as np

import harness


@harness.implementation("mine", layout="split")  # or concatenated, torch, keras, tf1: how weights are handed over
def my_bptt(problem: harness.Problem) -> dict[str, np.ndarray]:
    """One gru layer by hand, its reset gate after the product."""
    refuse_what_this_is_not_for(problem)
    W_xh = problem.weights["layer0.W_xh"]  # (I, 3H)
    W_hh = problem.weights["layer0.W_hh"]  # (H, 3H)
    b_h = problem.weights["layer0.b_h"]  # (3H,)
    b_hn = problem.weights["layer0.b_hn"]  # (H,)
    W_hy = problem.weights.get("readout.W_hy")  # (H, O), or None without a readout
    x = problem.inputs  # (B, T, I)
    B, T, _ = x.shape
    H = W_hh.shape[0]

    h = np.empty((B, T + 1, H), x.dtype)  # (B, T + 1, H): h_0, h_1, …, h_T
    kept = np.empty((B, T, 4, H), x.dtype)  # (B, T, 4, H): r_t, z_t, n_t and v^n_t
    h[:, 0] = problem.initial_state["layer0.h0"]  # (B, H)
    for t in range(T):
        u_r, u_z, u_n = np.split(x[:, t] @ W_xh + b_h, 3, axis=1)  # (B, H) each
        v_r, v_z, v_n = np.split(h[:, t] @ W_hh, 3, axis=1)  # (B, H) each
        v_n = v_n + b_hn  # (B, H)
        r, z = sigmoid(u_r + v_r), sigmoid(u_z + v_z)  # (B, H) each
        n = np.tanh(u_n + r * v_n)  # (B, H)
        h[:, t + 1] = (1 - z) * n + z * h[:, t]  # (B, H)
        kept[:, t] = np.stack([r, z, n, v_n], axis=1)  # (B, 4, H)
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
    d_h_after = np.zeros_like(h[:, 0])  # (B, H): dh_{t+1} z_{t+1} + dv_{t+1} W_hhᵀ
    for t in reversed(range(T)):
        r, z, n, v_n = np.moveaxis(kept[:, t], 1, 0)  # (B, H) each
        d_h = d_h_of_loss[:, t] + d_h_after  # (B, H)
        d_n = d_h * (1 - z) * (1 - n**2)  # (B, H)
        d_r = d_n * v_n * r * (1 - r)  # (B, H)
        d_z = d_h * (h[:, t] - n) * z * (1 - z)  # (B, H): h[:, t] is the state before step t
        d_u = np.concatenate([d_r, d_z, d_n], axis=1)  # (B, 3H)
        d_v = np.concatenate([d_r, d_z, d_n * r], axis=1)  # (B, 3H)
        gradients["layer0.W_xh"] += x[:, t].T @ d_u  # (I, 3H)
        gradients["layer0.W_hh"] += h[:, t].T @ d_v  # (H, 3H)
        gradients["layer0.b_h"] += d_u.sum(axis=0)  # (3H,)
        gradients["layer0.b_hn"] += d_v[:, 2 * H :].sum(axis=0)  # (H,)
        d_inputs[:, t] = d_u @ W_xh.T  # (B, I)
        d_h_after = d_h * z + d_v @ W_hh.T  # (B, H)
    return {"loss": loss, "outputs": outputs, **gradients, "inputs": d_inputs, "layer0.h0": d_h_after}


def sigmoid(a: np.ndarray) -> np.ndarray:
    """Return σ(a) = 1 / (1 + e^{-a}), written so that nothing overflows."""
    return (1 + np.tanh(a / 2)) / 2


def refuse_what_this_is_not_for(problem: harness.Problem) -> None:
    """Raise harness.Unsupported for a case that the code above does not compute. That is no failure."""
    case = problem.case
    if case.cell != "gru":
        raise harness.Unsupported("only gru cells")
    if case.reset != "after":
        raise harness.Unsupported("only the reset gate after the product")
    if case.layers != 1:
        raise harness.Unsupported("only one layer")
    if case.bidirectional:
        raise harness.Unsupported("only one direction")
    if case.lengths is not None:
        raise harness.Unsupported("only sequences of equal length")
    if case.truncation != "none":
        raise harness.Unsupported("only full gradients")
