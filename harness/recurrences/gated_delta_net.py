"""Gated DeltaNet: the delta rule on a state that decays first.

    α = exp(−exp(A_log) softplus(a + dt_bias)),   β = σ(b),   k̂, q̂ as in ``delta_net``
    S = α S₋ + β k̂ (v − α S₋ᵀ k̂)ᵀ = α (I − β k̂ k̂ᵀ) S₋ + β k̂ vᵀ,   y = Sᵀ q̂

for each of H heads; S is (K, V), q, k are K wide, v is V wide, b is the input ``beta``.

Yang, Kautz and Hatamizadeh 2024, "Gated Delta Networks: Improving Mamba2 with Delta Rule", in our transposed notation;
α is that of Mamba-2. The kernels of flash-linear-attention are given log α and β, and scale q by 1/√K unless they are
given a scale of 1.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence

EPSILON = 1e-6


@recurrence(
    weights={"A_log": "H", "dt_bias": "H"},
    inputs={"q": "H K", "k": "H K", "v": "H V", "beta": "H", "a": "H"},
    state={"S": "H K V"},
)
def gated_delta_net(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Matrix state that decays, then learns by the delta rule (Yang et al. 2024)."""

    def normalised(v: Any) -> Any:
        return v / xp.sqrt(xp.sum(v * v, axis=-1, keepdims=True) + EPSILON)

    q, k = normalised(x["q"]), normalised(x["k"])  # (B, H, K), (B, H, K)
    alpha = xp.exp(-xp.exp(w["A_log"]) * xp.softplus(x["a"] + w["dt_bias"]))  # (B, H)
    beta = xp.sigmoid(x["beta"])  # (B, H)
    decayed = alpha[:, :, None, None] * s["S"]  # (B, H, K, V)
    missing = x["v"] - xp.einsum("bhk,bhkv->bhv", k, decayed)  # (B, H, V)
    S = decayed + xp.einsum("bhk,bhv->bhkv", k, beta[:, :, None] * missing)  # (B, H, K, V)
    return {"S": S}, xp.einsum("bhk,bhkv->bhv", q, S)
