"""GRU: one state behind an update gate, in its two variants.

    r, z = σ(x W_xh + h₋ W_hh + b_h)
    gru_before:  n = tanh(x W_xh + (r ∘ h₋) W_hh + b_h)
    gru:         n = tanh(x W_xh + b_h + r ∘ (h₋ W_hh + b_hn))
    h = (1 − z) ∘ n + z ∘ h₋

The gates r, z, n stand side by side in W_xh, W_hh and b_h; h₋ is the hidden state before the step. The reset gate of
``gru`` multiplies after the recurrent product, as in cuDNN, torch and Keras; that of ``gru_before`` multiplies the
state, as in the paper. They are two functions.

Cho et al. 2014, "Learning phrase representations using RNN encoder–decoder for statistical machine translation", in
which z is 1 − z here.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(weights={"W_xh": "I 3*H", "W_hh": "H 3*H", "b_h": "3*H", "b_hn": "H"}, inputs={"x": "I"}, state={"h": "H"})
def gru(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """GRU whose reset gate multiplies after the recurrent product, as in torch (after Cho et al. 2014)."""
    H = s["h"].shape[-1]
    a = x["x"] @ w["W_xh"] + w["b_h"]  # (B, 3H)
    b = s["h"] @ w["W_hh"]  # (B, 3H)
    r = xp.sigmoid(a[:, :H] + b[:, :H])  # (B, H)
    z = xp.sigmoid(a[:, H : 2 * H] + b[:, H : 2 * H])  # (B, H)
    n = xp.activation(a[:, 2 * H :] + r * (b[:, 2 * H :] + w["b_hn"]))  # (B, H)
    h = (1 - z) * n + z * s["h"]  # (B, H)
    return {"h": h}, h


@recurrence(weights={"W_xh": "I 3*H", "W_hh": "H 3*H", "b_h": "3*H"}, inputs={"x": "I"}, state={"h": "H"})
def gru_before(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """GRU whose reset gate multiplies the state before the recurrent product (Cho et al. 2014)."""
    H = s["h"].shape[-1]
    a = x["x"] @ w["W_xh"] + w["b_h"]  # (B, 3H)
    b = s["h"] @ w["W_hh"][:, : 2 * H]  # (B, 2H)
    r = xp.sigmoid(a[:, :H] + b[:, :H])  # (B, H)
    z = xp.sigmoid(a[:, H : 2 * H] + b[:, H:])  # (B, H)
    n = xp.activation(a[:, 2 * H :] + (r * s["h"]) @ w["W_hh"][:, 2 * H :])  # (B, H)
    h = (1 - z) * n + z * s["h"]  # (B, H)
    return {"h": h}, h
