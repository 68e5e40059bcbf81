"""SSD: the state space of Mamba-2, with one decay for each head.

    Δ = softplus(dt + dt_bias),   a = exp(−Δ exp A_log)
    h = a h₋ + (Δ x) Bᵀ,   y = h C + D x

for each of H heads, P wide, whose state is (P, N). All heads share B and C.

Dao and Gu 2024, "Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space
Duality": one group of B and C. The gate and the normalisation that follow in the block of Mamba-2 do not belong to it.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"A_log": "H", "D": "H", "dt_bias": "H"},
    inputs={"x": "H P", "dt": "H", "B": "N", "C": "N"},
    state={"h": "H P N"},
)
def ssd(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """State space with one decay for each head, Mamba-2 (Dao and Gu 2024)."""
    dt = xp.softplus(x["dt"] + w["dt_bias"])  # (B, H)
    decay = xp.exp(-dt * xp.exp(w["A_log"]))  # (B, H)
    added = xp.einsum("bhp,bn->bhpn", dt[:, :, None] * x["x"], x["B"])  # (B, H, P, N)
    h = decay[:, :, None, None] * s["h"] + added  # (B, H, P, N)
    y = xp.einsum("bhpn,bn->bhp", h, x["C"]) + w["D"][:, None] * x["x"]  # (B, H, P)
    return {"h": h}, y
