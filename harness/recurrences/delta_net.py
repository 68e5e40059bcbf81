"""DeltaNet: a matrix state that unlearns what it holds for a key before it learns the new value.

    k̂ = k / √(k·k + 1e-6),   q̂ = q / √(q·q + 1e-6),   β = σ(b)
    S = S₋ + β k̂ (v − S₋ᵀ k̂)ᵀ = (I − β k̂ k̂ᵀ) S₋ + β k̂ vᵀ,   y = Sᵀ q̂

for each of H heads; S is (K, V), q, k are K wide, v is V wide, b is the input ``beta``.

Yang, Wang, Zhang, Shen and Kim 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence Length", in
their transposed notation; the rule is that of Schlag, Irie and Schmidhuber 2021, "Linear Transformers Are Secretly
Fast Weight Programmers". The epsilon inside the root is that of flash-linear-attention, whose kernel is given β itself
and scales q by 1/√K unless it is given a scale of 1; neither paper scales q.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence

EPSILON = 1e-6


@recurrence(
    weights={},
    inputs={"q": "H K", "k": "H K", "v": "H V", "beta": "H"},
    state={"S": "H K V"},
)
def delta_net(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Matrix state that learns by the delta rule (Yang et al. 2024)."""
    del w

    def normalised(v: Any) -> Any:
        return v / xp.sqrt(xp.sum(v * v, axis=-1, keepdims=True) + EPSILON)

    q, k = normalised(x["q"]), normalised(x["k"])  # (B, H, K), (B, H, K)
    beta = xp.sigmoid(x["beta"])  # (B, H)
    missing = x["v"] - xp.einsum("bhk,bhkv->bhv", k, s["S"])  # (B, H, V)
    S = s["S"] + xp.einsum("bhk,bhv->bhkv", k, beta[:, :, None] * missing)  # (B, H, K, V)
    return {"S": S}, xp.einsum("bhk,bhkv->bhv", q, S)
