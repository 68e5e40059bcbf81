"""minGRU: a gated recurrent unit whose gate and candidate see the input alone.

    z = σ(x W_z + b_z),   h̃ = g(x W_h + b_h),   h = (1 − z) ∘ h₋ + z ∘ h̃
    g(v) = v + 1/2 where v ≥ 0, σ(v) elsewhere

Feng, Tung, Ahmed, Bengio and Hajimirsadeghi 2024, "Were RNNs All We Needed?". g, which keeps the state positive for
a scan of logarithms, is that of the paper's appendix and of most code; the algorithm in its main text has h̃ without
it.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"W_z": "I H", "b_z": "H", "W_h": "I H", "b_h": "H"},
    inputs={"x": "I"},
    state={"h": "H"},
)
def min_gru(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Gated recurrent unit whose gate and candidate see the input alone (Feng et al. 2024)."""
    z = xp.sigmoid(x["x"] @ w["W_z"] + w["b_z"])  # (B, H)
    v = x["x"] @ w["W_h"] + w["b_h"]  # (B, H)
    candidate = xp.where(v >= 0, v + 0.5, xp.sigmoid(v))  # (B, H)
    h = (1 - z) * s["h"] + z * candidate  # (B, H)
    return {"h": h}, h
