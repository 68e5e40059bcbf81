"""RG-LRU: a linear recurrence whose real diagonal is gated by the input.

    r = σ(x W_a + b_a),   i = σ(x W_x + b_x),   log a = −8 r ∘ softplus(Λ)
    h = a ∘ h₋ + √(1 − a²) ∘ (i ∘ x)

The inputs are as wide as the state, H.

De, Smith, Fernando et al. 2024, "Griffin: Mixing Gated Linear Recurrences with Local Attention for Efficient Language
Models", c = 8. The gates' matrices are full as in the paper; the authors' code has them block by block. 1 − a² is
computed by expm1, so that it keeps its digits where a is near 1.

The slope of the root is a declared deviation: as in the authors' code it is at most 1,000, so the gradient is no
derivative where 1 − a² < 2.5e-7.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence

MAXIMUM_SLOPE = 1000.0


@recurrence(
    weights={"W_a": "H H", "b_a": "H", "W_x": "H H", "b_x": "H", "Lambda": "H"},
    inputs={"x": "H"},
    state={"h": "H"},
)
def rg_lru(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Linear recurrence whose diagonal is gated by the input, of Griffin (De et al. 2024)."""
    r = xp.sigmoid(x["x"] @ w["W_a"] + w["b_a"])  # (B, H)
    i = xp.sigmoid(x["x"] @ w["W_x"] + w["b_x"])  # (B, H)
    log_a = -8.0 * r * xp.softplus(w["Lambda"])  # (B, H)
    root = xp.clip_slope(xp.sqrt, MAXIMUM_SLOPE)(-xp.expm1(2 * log_a))  # (B, H)
    h = xp.exp(log_a) * s["h"] + root * (i * x["x"])  # (B, H)
    return {"h": h}, h
