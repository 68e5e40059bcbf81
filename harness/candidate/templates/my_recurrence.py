"""A recurrence of your own, to begin with: a leaky unit, and its backpropagation through time by hand.

    harness check THIS_FILE.py      compares it with gradients that are derived from the step

B sequences of T steps, I inputs, H hidden units; k is the share of its state that a unit replaces at each step.

    forward     k = σ(r)                                       (H,): one number for each unit, learned
                y_t = tanh(x_t W + h_{t-1} U + b)              (B, H)
                h_t = (1 − k) ∘ h_{t-1} + k ∘ y_t              (B, H)

    backward    dh_t = dout_t + dh_{t+1} ∘ (1 − k) + da_{t+1} Uᵀ     (B, H): from the output, and from the step after
                da_t = dh_t ∘ k ∘ (1 − y_t²)                         (B, H): the slope of tanh is 1 − tanh²
                dk = Σ_t, batch dh_t ∘ (y_t − h_{t-1})               (H,)
                dr = dk ∘ k ∘ (1 − k)                                (H,): the slope of the sigmoid is σ (1 − σ)
                dW = Σ_t x_tᵀ da_t    dU = Σ_t h_{t-1}ᵀ da_t    db = Σ_t, batch da_t    dx_t = da_t Wᵀ
"""

from typing import Any

import numpy as np

import harness


# The declaration: a shape for every array, in letters of your choice. The batch and the time are never written.
@harness.recurrence(
    weights={"W": "I H", "U": "H H", "b": "H", "r": "H"},
    inputs={"x": "I"},  # of one step and one sequence
    state={"h": "H"},
)
def leaky_unit(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Leaky unit: each unit replaces a learned share of its state."""
    k = xp.sigmoid(w["r"])  # (H,)
    y = xp.tanh(x["x"] @ w["W"] + s["h"] @ w["U"] + w["b"])  # (B, H)
    h = (1 - k) * s["h"] + k * y  # (B, H)
    return {"h": h}, h  # the state after the step, and the output


# The implementation under test. It may be in any framework, as long as it returns arrays.
@harness.implementation("mine", recurrence=leaky_unit)
def my_bptt(problem: Any) -> dict[str, np.ndarray]:
    """The leaky unit by hand."""
    W, U, b, r = (problem.weights[name] for name in ("W", "U", "b", "r"))  # (I, H), (H, H), (H,), (H,)
    x = problem.inputs["x"]  # (B, T, I)
    B, T, _ = x.shape

    k = 1 / (1 + np.exp(-r))  # (H,)
    h = np.empty((B, T + 1, U.shape[0]), x.dtype)  # (B, T + 1, H): h_0, h_1, …, h_T
    y = np.empty((B, T, U.shape[0]), x.dtype)  # (B, T, H)
    h[:, 0] = problem.initial_state["h"]  # (B, H)
    for t in range(T):
        y[:, t] = np.tanh(x[:, t] @ W + h[:, t] @ U + b)  # (B, H)
        h[:, t + 1] = (1 - k) * h[:, t] + k * y[:, t]  # (B, H)
    outputs = h[:, 1:]  # (B, T, H)
    loss, _ = problem.loss(outputs, {"h": h[:, T]})  # (): of the outputs and the last state

    dW, dU, db, dk = (np.zeros_like(array) for array in (W, U, b, k))
    dx = np.empty_like(x)  # (B, T, I)
    carried = problem.upstream_state["h"]  # (B, H): the gradient of the loss by the last state
    for t in reversed(range(T)):
        dh = problem.upstream[:, t] + carried  # (B, H)
        da = dh * k * (1 - y[:, t] ** 2)  # (B, H)
        dW += x[:, t].T @ da  # (I, H)
        dU += h[:, t].T @ da  # (H, H): h[:, t] is the state before step t
        db += da.sum(axis=0)  # (H,)
        dk += (dh * (y[:, t] - h[:, t])).sum(axis=0)  # (H,)
        dx[:, t] = da @ W.T  # (B, I)
        carried = dh * (1 - k) + da @ U.T  # (B, H)
    gradients = {"W": dW, "U": dU, "b": db, "r": dk * k * (1 - k), "inputs.x": dx, "h0": carried}
    return {"loss": loss, "outputs": outputs, **gradients}  # any subset
