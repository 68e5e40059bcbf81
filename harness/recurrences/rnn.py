"""Elman's recurrent network: one hidden layer that sees itself a step before.

    h = tanh(x W_xh + h₋ W_hh + b_h)

h₋ is the hidden state before the step.

Elman 1990, "Finding structure in time".
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(weights={"W_xh": "I H", "W_hh": "H H", "b_h": "H"}, inputs={"x": "I"}, state={"h": "H"})
def rnn(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Plain recurrent network with tanh (Elman 1990)."""
    h = xp.activation(x["x"] @ w["W_xh"] + s["h"] @ w["W_hh"] + w["b_h"])  # (B, H)
    return {"h": h}, h
