"""LSTM with recurrent dropout: a mask of each step drops parts of the candidate, and never of the memory.

    i, f, o = σ(x W + h₋ U + b),   g = tanh(x W + h₋ U + b)
    c = f ∘ c₋ + i ∘ (mask ∘ g),   h = o ∘ tanh(c)

The gates i, f, g, o stand side by side in W, U and b; the mask is 0 or 1 for each unit of each sequence at each step.

Semeniuta, Severyn and Barth 2016, "Recurrent Dropout without Memory Loss". The mask is drawn outside the step, and is
not divided by the share of units that it keeps.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"W": "I 4*H", "U": "H 4*H", "b": "4*H"},
    inputs={"x": "I", "mask": "H"},
    state={"h": "H", "c": "H"},
    masks=("mask",),
)
def recurrent_dropout_lstm(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """LSTM whose candidate is dropped by a mask of each step (Semeniuta et al. 2016)."""
    H = s["h"].shape[-1]
    a = x["x"] @ w["W"] + s["h"] @ w["U"] + w["b"]  # (B, 4H)
    i, f = xp.sigmoid(a[:, :H]), xp.sigmoid(a[:, H : 2 * H])  # (B, H), (B, H)
    g = x["mask"] * xp.tanh(a[:, 2 * H : 3 * H])  # (B, H)
    c = f * s["c"] + i * g  # (B, H)
    h = xp.sigmoid(a[:, 3 * H :]) * xp.tanh(c)  # (B, H)
    return {"h": h, "c": c}, h
