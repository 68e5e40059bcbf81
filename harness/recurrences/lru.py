"""LRU: a linear recurrence with a complex diagonal, kept as real and imaginary parts.

    λ = exp(−exp ν + i exp θ),   h = λ ∘ h₋ + exp γ ∘ (x B),   y = Re(h C) + D ∘ x

h = re + i im, B = B_re + i B_im and C = C_re + i C_im. |λ| < 1 whatever ν is.

Orvieto, Smith, Gu, Fernando, Gulcehre, Pascanu and De 2023, "Resurrecting Recurrent Neural Networks for Long
Sequences". ``nu``, ``theta`` and ``gamma`` are the logarithms that the paper's code learns; exp γ starts there at
√(1 − |λ|²), but is a weight of its own afterwards. S4D and S5 after their discretisation have this form.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={
        "nu": "N",
        "theta": "N",
        "gamma": "N",
        "B_re": "I N",
        "B_im": "I N",
        "C_re": "N I",
        "C_im": "N I",
        "D": "I",
    },
    inputs={"x": "I"},
    state={"re": "N", "im": "N"},
)
def lru(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Linear recurrence with a complex diagonal (Orvieto et al. 2023)."""
    length, angle = xp.exp(-xp.exp(w["nu"])), xp.exp(w["theta"])  # (N,), (N,)
    along, across = length * xp.cos(angle), length * xp.sin(angle)  # (N,), (N,): the two parts of λ
    scale = xp.exp(w["gamma"])  # (N,)
    re = along * s["re"] - across * s["im"] + scale * (x["x"] @ w["B_re"])  # (B, N)
    im = across * s["re"] + along * s["im"] + scale * (x["x"] @ w["B_im"])  # (B, N)
    y = re @ w["C_re"] - im @ w["C_im"] + w["D"] * x["x"]  # (B, I)
    return {"re": re, "im": im}, y
