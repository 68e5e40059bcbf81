"""Selective scan over sequences that are packed one behind the other in time: a reset ends the memory of one.

    Δ = softplus(δ + dt_bias),   A = −exp A_log
    h = exp(Δ A) ∘ (1 − reset) h₋ + (Δ u) Bᵀ,   y = (h C + D ∘ u) ∘ silu(z)

for each of E channels, with a state N wide; the reset is 1 at the first step of a sequence, and 0 at all others.

Xu, Liu, Fu et al. 2024, "PackMamba: Efficient Processing of Variable-Length Sequences in Mamba Training", which sets
the decay to zero where a sequence begins; all else is the selective scan of Gu and Dao 2023. As in their
``selective_scan_fn``, D, z and dt_bias may be absent.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"A_log": "E N", "D": "E", "dt_bias": "E"},
    inputs={"u": "E", "delta": "E", "B": "N", "C": "N", "z": "E", "reset": ""},
    state={"h": "E N"},
    optional=("D", "dt_bias", "z", "h"),
    resets="reset",
)
def packed_selective_scan(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Selective scan over packed sequences, with resets between them (Xu et al. 2024)."""
    dt = xp.softplus(x["delta"] if w["dt_bias"] is None else x["delta"] + w["dt_bias"])  # (B, E)
    decay = xp.exp(dt[:, :, None] * -xp.exp(w["A_log"]))  # (B, E, N)
    before = (1 - x["reset"])[:, None, None] * s["h"]  # (B, E, N)
    h = decay * before + (dt * x["u"])[:, :, None] * x["B"][:, None, :]  # (B, E, N)
    y = xp.einsum("ben,bn->be", h, x["C"])  # (B, E)
    y = y if w["D"] is None else y + w["D"] * x["u"]  # (B, E)
    return {"h": h}, y if x["z"] is None else y * xp.silu(x["z"])
