"""Selective scan, S6: a diagonal state space whose step size, input and output depend on the input.

    Δ = softplus(δ + dt_bias),   A = −exp A_log
    h = exp(Δ A) ∘ h₋ + (Δ u) Bᵀ,   y = (h C + D ∘ u) ∘ silu(z)

for each of E channels, whose state is N wide: h, A are (E, N), u, δ, z, Δ, y are E wide, B and C are N wide.

Gu and Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces". As in the authors'
``selective_scan_fn``, B is discretised by Euler's rule, Δ B, and not by the zero-order hold of the paper's equation 4;
softplus is never replaced by the identity above 20, which their kernel does.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"A_log": "E N", "D": "E", "dt_bias": "E"},
    inputs={"u": "E", "delta": "E", "B": "N", "C": "N", "z": "E"},
    state={"h": "E N"},
)
def selective_scan(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Diagonal state space that depends on its input, Mamba's S6 (Gu and Dao 2023)."""
    dt = xp.softplus(x["delta"] + w["dt_bias"])  # (B, E)
    decay = xp.exp(dt[:, :, None] * -xp.exp(w["A_log"]))  # (B, E, N)
    h = decay * s["h"] + (dt * x["u"])[:, :, None] * x["B"][:, None, :]  # (B, E, N)
    y = xp.einsum("ben,bn->be", h, x["C"]) + w["D"] * x["u"]  # (B, E)
    return {"h": h}, y * xp.silu(x["z"])
