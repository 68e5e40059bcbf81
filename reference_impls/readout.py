r"""The linear readout: the same affine map from hidden state to output at each step.

    y_t = h_t W_hy + b_y                        (B, O) = (B, H)(H, O) + (O,)

No step depends on another, so forward and backward are one matrix product each over all steps:

    dW_hy = Σ_t h_tᵀ dy_t                       (H, O)
    db_y  = Σ_t Σ_B dy_t                        (O,)
    dh_t  = dy_t W_hyᵀ                          (B, H)
"""

from __future__ import annotations

from numpy import ndarray


def forward(h: ndarray, W_hy: ndarray, b_y: ndarray) -> ndarray:
    """Return the outputs, (T, B, O), of hidden states h (T, B, H) under W_hy (H, O) and b_y (O,)."""
    T, B, H = h.shape
    y = h.reshape(T * B, H) @ W_hy  # (T·B, O)
    y += b_y
    return y.reshape(T, B, -1)  # (T, B, O)


def backward(h: ndarray, W_hy: ndarray, d_y: ndarray) -> tuple[ndarray, dict[str, ndarray]]:
    """Return d_h (T, B, H) and the gradients of W_hy (H, O) and b_y (O,), from d_y (T, B, O)."""
    T, B, H = h.shape
    rows = d_y.reshape(T * B, -1)  # (T·B, O)
    gradients = {
        "W_hy": h.reshape(T * B, H).T @ rows,  # (H, O)
        "b_y": rows.sum(axis=0),  # (O,)
    }
    return (rows @ W_hy.T).reshape(T, B, H), gradients
