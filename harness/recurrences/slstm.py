"""sLSTM: an LSTM with an exponential input gate, a normaliser and a running maximum.

    ĩ, f̃, z̃, õ = x W + h₋ R + b:   z = tanh(z̃),   o = σ(õ)
    m = max(log σ(f̃) + m₋, ĩ),   f' = exp(log σ(f̃) + m₋ − m),   i' = exp(ĩ − m)
    c = f' ∘ c₋ + i' ∘ z,   n = f' ∘ n₋ + i',   h = o ∘ c / n

for each of H heads, D wide. A head sees its own state alone: R is (D, 4D) for each. The gates i, f, z, o stand side by
side in W, R and b of each head.

Beck, Pöppel, Spanring, Auer, Prudnikova, Kopp, Klambauer, Brandstetter and Hochreiter 2024, "xLSTM: Extended Long
Short-Term Memory". c and n are the paper's times exp(−m). The forget gate is the sigmoid, of the two that the paper
allows. The authors' code treats a normaliser of zeros, that of a first step, as a case of its own; n > 0 here.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"W": "I H 4*D", "R": "H D 4*D", "b": "H 4*D"},
    inputs={"x": "I"},
    state={"h": "H D", "c": "H D", "n": "H D", "m": "H D"},
    positive=("n",),
)
def slstm(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """LSTM with an exponential gate and a normaliser, of xLSTM (Beck et al. 2024)."""
    D = s["h"].shape[-1]
    from_input = xp.einsum("bi,ihd->bhd", x["x"], w["W"])  # (B, H, 4D)
    from_state = xp.einsum("bhe,hed->bhd", s["h"], w["R"])  # (B, H, 4D)
    a = from_input + from_state + w["b"]  # (B, H, 4D)
    i = a[:, :, :D]  # (B, H, D)
    kept = s["m"] - xp.softplus(-a[:, :, D : 2 * D])  # (B, H, D): log σ(f̃) + m₋
    z = xp.tanh(a[:, :, 2 * D : 3 * D])  # (B, H, D)
    o = xp.sigmoid(a[:, :, 3 * D :])  # (B, H, D)
    m = xp.maximum(kept, i)  # (B, H, D)
    f, i = xp.exp(kept - m), xp.exp(i - m)  # (B, H, D), (B, H, D)
    c = f * s["c"] + i * z  # (B, H, D)
    n = f * s["n"] + i  # (B, H, D)
    h = o * c / n  # (B, H, D)
    return {"h": h, "c": c, "n": n, "m": m}, h
