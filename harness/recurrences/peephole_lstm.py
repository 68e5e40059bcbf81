"""Peephole LSTM: its gates see the cell.

    i, f = σ(x W + h U + b + p ∘ c₋),   g = tanh(x W + h U + b)
    c = f ∘ c₋ + i ∘ g,   o = σ(x W + h U + b + p_o ∘ c),   h = o ∘ tanh(c)

The gates i, f, g, o are side by side in W, U and b; c₋ is the cell before the step.

Gers, Schraudolph and Schmidhuber 2002, "Learning precise timing with LSTM recurrent networks".
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"W": "I 4*H", "U": "H 4*H", "b": "4*H", "p_i": "H", "p_f": "H", "p_o": "H"},
    inputs={"x": "I"},
    state={"h": "H", "c": "H"},
)
def peephole_lstm(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """LSTM with gates that see the cell (Gers et al. 2002)."""
    H = s["h"].shape[-1]
    a = x["x"] @ w["W"] + s["h"] @ w["U"] + w["b"]  # (B, 4H)
    i = xp.sigmoid(a[:, :H] + w["p_i"] * s["c"])  # (B, H)
    f = xp.sigmoid(a[:, H : 2 * H] + w["p_f"] * s["c"])  # (B, H)
    g = xp.tanh(a[:, 2 * H : 3 * H])  # (B, H)
    c = f * s["c"] + i * g  # (B, H)
    o = xp.sigmoid(a[:, 3 * H :] + w["p_o"] * c)  # (B, H)
    h = o * xp.tanh(c)  # (B, H)
    return {"h": h, "c": c}, h
