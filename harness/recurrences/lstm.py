"""LSTM: a cell behind three gates.

    i, f, o = σ(x W_xh + h₋ W_hh + b_h),   g = tanh(x W_xh + h₋ W_hh + b_h)
    c = f ∘ c₋ + i ∘ g,   h = o ∘ tanh(c)

The gates i, f, g, o stand side by side in W_xh, W_hh and b_h; h₋ and c₋ are the states before the step.

Hochreiter and Schmidhuber 1997, "Long short-term memory"; the forget gate f is of Gers, Schmidhuber and Cummins 2000,
"Learning to forget: continual prediction with LSTM".
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"W_xh": "I 4*H", "W_hh": "H 4*H", "b_h": "4*H"},
    inputs={"x": "I"},
    state={"h": "H", "c": "H"},
)
def lstm(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """LSTM with a forget gate (Gers et al. 2000)."""
    H = s["h"].shape[-1]
    a = x["x"] @ w["W_xh"] + s["h"] @ w["W_hh"] + w["b_h"]  # (B, 4H)
    i = xp.sigmoid(a[:, :H])  # (B, H)
    f = xp.sigmoid(a[:, H : 2 * H])  # (B, H)
    g = xp.activation(a[:, 2 * H : 3 * H])  # (B, H)
    o = xp.sigmoid(a[:, 3 * H :])  # (B, H)
    c = f * s["c"] + i * g  # (B, H)
    h = o * xp.activation(c)  # (B, H)
    return {"h": h, "c": c}, h
