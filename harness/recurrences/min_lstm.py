"""minLSTM: two gates of the input alone, normalised so that they add up to one.

    f = σ(x W_f + b_f),   i = σ(x W_i + b_i),   h̃ = x W_h + b_h
    h = f / (f + i) ∘ h₋ + i / (f + i) ∘ h̃

Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, "Were RNNs All We Needed?", the algorithm of its main text: h̃ is
linear. The paper's appendix applies the g of ``min_gru`` to it.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"W_f": "I H", "b_f": "H", "W_i": "I H", "b_i": "H", "W_h": "I H", "b_h": "H"},
    inputs={"x": "I"},
    state={"h": "H"},
)
def min_lstm(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """LSTM without a cell, whose two gates of the input add up to one (Feng et al. 2024)."""
    f = xp.sigmoid(x["x"] @ w["W_f"] + w["b_f"])  # (B, H)
    i = xp.sigmoid(x["x"] @ w["W_i"] + w["b_i"])  # (B, H)
    candidate = x["x"] @ w["W_h"] + w["b_h"]  # (B, H)
    h = f / (f + i) * s["h"] + i / (f + i) * candidate  # (B, H)
    return {"h": h}, h
