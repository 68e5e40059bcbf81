"""IndRNN: each unit sees no state but its own.

    h = relu(x W + u ∘ h₋ + b)

Li, Li, Cook, Zhu and Gao 2018, "Independently Recurrent Neural Network (IndRNN): Building A Longer and Deeper RNN".
The slope of relu at exactly 0 is 0.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"W": "I H", "u": "H", "b": "H"},
    inputs={"x": "I"},
    state={"h": "H"},
)
def ind_rnn(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Rectified network whose units see no state but their own (Li et al. 2018)."""
    h = xp.relu(x["x"] @ w["W"] + w["u"] * s["h"] + w["b"])  # (B, H)
    return {"h": h}, h
