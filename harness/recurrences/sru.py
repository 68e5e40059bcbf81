"""SRU: a cell with peepholes of its own element, and a highway around it.

    f = σ(x W_f + v_f ∘ c₋ + b_f),   r = σ(x W_r + v_r ∘ c₋ + b_r)
    c = f ∘ c₋ + (1 − f) ∘ (x W),   h = r ∘ c + (1 − r) ∘ x

The inputs are as wide as the cell, H. Both gates see the cell before the step.

Lei, Zhang, Wang, Dai and Artzi 2017, "Simple Recurrent Units for Highly Parallelizable Recurrence". The constant
√(1 + 2 exp b), by which the paper scales x in the highway for its initialisation, is left out.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"W": "H H", "W_f": "H H", "v_f": "H", "b_f": "H", "W_r": "H H", "v_r": "H", "b_r": "H"},
    inputs={"x": "H"},
    state={"c": "H"},
)
def sru(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Cell without products of the state, with a highway around it (Lei et al. 2017)."""
    f = xp.sigmoid(x["x"] @ w["W_f"] + w["v_f"] * s["c"] + w["b_f"])  # (B, H)
    r = xp.sigmoid(x["x"] @ w["W_r"] + w["v_r"] * s["c"] + w["b_r"])  # (B, H)
    c = f * s["c"] + (1 - f) * (x["x"] @ w["W"])  # (B, H)
    return {"c": c}, r * c + (1 - r) * x["x"]
