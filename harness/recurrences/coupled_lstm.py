"""Coupled LSTM: the input gate is one minus the forget gate.

    f = σ(x W_f + h₋ U_f + b_f),   g = tanh(x W_g + h₋ U_g + b_g),   o = σ(x W_o + h₋ U_o + b_o)
    c = f ∘ c₋ + (1 − f) ∘ g,   h = o ∘ tanh(c)

The gates f, g, o stand side by side in W, U and b; h₋ and c₋ are the states before the step.

Greff, Srivastava, Koutník, Steunebrink and Schmidhuber 2015, "LSTM: A Search Space Odyssey", where it is CIFG. No
peepholes are taken.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"W": "I 3*H", "U": "H 3*H", "b": "3*H"},
    inputs={"x": "I"},
    state={"h": "H", "c": "H"},
)
def coupled_lstm(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """LSTM whose input gate is one minus its forget gate (Greff et al. 2015)."""
    H = s["h"].shape[-1]
    a = x["x"] @ w["W"] + s["h"] @ w["U"] + w["b"]  # (B, 3H)
    f = xp.sigmoid(a[:, :H])  # (B, H)
    g = xp.tanh(a[:, H : 2 * H])  # (B, H)
    o = xp.sigmoid(a[:, 2 * H :])  # (B, H)
    c = f * s["c"] + (1 - f) * g  # (B, H)
    h = o * xp.tanh(c)  # (B, H)
    return {"h": h, "c": c}, h
