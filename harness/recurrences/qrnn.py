"""QRNN: gates by a convolution over two steps, and a pooling by them.

    z = tanh(x₋ Z0 + x Z1),   f = σ(x₋ F0 + x F1),   o = σ(x₋ O0 + x O1)
    c = f ∘ c₋ + (1 − f) ∘ z,   h = o ∘ c

x₋ is the input of the step before, kept as the state ``last``.

Bradbury, Merity, Xiong and Socher 2016, "Quasi-Recurrent Neural Networks": fo-pooling, a window of two. The paper has
no biases, and x₋ is zero at the first step.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"Z0": "I H", "Z1": "I H", "F0": "I H", "F1": "I H", "O0": "I H", "O1": "I H"},
    inputs={"x": "I"},
    state={"c": "H", "last": "I"},
)
def qrnn(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Convolution over two steps, pooled by its gates (Bradbury et al. 2016)."""
    z = xp.tanh(s["last"] @ w["Z0"] + x["x"] @ w["Z1"])  # (B, H)
    f = xp.sigmoid(s["last"] @ w["F0"] + x["x"] @ w["F1"])  # (B, H)
    o = xp.sigmoid(s["last"] @ w["O0"] + x["x"] @ w["O1"])  # (B, H)
    c = f * s["c"] + (1 - f) * z  # (B, H)
    return {"c": c, "last": x["x"]}, o * c
