"""Projection LSTM: a narrow hidden state, projected out of a wide cell.

    i, f, g, o = σ, σ, tanh, σ of the four quarters of x W + h₋ U + b
    c = f ∘ c₋ + i ∘ g,   h = (o ∘ tanh(c)) P

The cell is H wide, the hidden state R wide.

Sak, Senior and Beaufays 2014, "Long Short-Term Memory Recurrent Neural Network Architectures for Large Scale Acoustic
Modeling". Their peepholes and their second, non-recurrent projection are left out: this is torch.nn.LSTM with
``proj_size=R``.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"W": "I 4*H", "U": "R 4*H", "b": "4*H", "P": "H R"},
    inputs={"x": "I"},
    state={"h": "R", "c": "H"},
)
def projection_lstm(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """LSTM whose hidden state is projected out of its cell (Sak et al. 2014)."""
    H = s["c"].shape[-1]
    a = x["x"] @ w["W"] + s["h"] @ w["U"] + w["b"]  # (B, 4H)
    i = xp.sigmoid(a[:, :H])  # (B, H)
    f = xp.sigmoid(a[:, H : 2 * H])  # (B, H)
    g = xp.tanh(a[:, 2 * H : 3 * H])  # (B, H)
    o = xp.sigmoid(a[:, 3 * H :])  # (B, H)
    c = f * s["c"] + i * g  # (B, H)
    h = (o * xp.tanh(c)) @ w["P"]  # (B, R)
    return {"h": h, "c": c}, h
