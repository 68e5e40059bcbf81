"""RWKV-7: a matrix state with a decay for each column and a change of rank one.

    S = S₋ (diag(exp(−exp w)) + a bᵀ) + v kᵀ,   y = S r

for each of H heads; S is (V, K), r, w, k, a, b are K wide, v is V wide.

Peng, Zhang, Goldstein et al. 2025, "RWKV-7 "Goose" with Expressive Dynamic State Evolution". Letters and the decay are
those of the authors' kernel: in the paper a = −κ̂ and b = κ̂ ∘ (the learning rate), and the decay itself is w. There, w
stays within limits by what comes before the kernel.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={},
    inputs={"r": "H K", "w": "H K", "k": "H K", "v": "H V", "a": "H K", "b": "H K"},
    state={"S": "H V K"},
)
def rwkv7(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Matrix state with a decay by column and a change of rank one (Peng et al. 2025)."""
    del w
    decay = xp.exp(-xp.exp(x["w"]))  # (B, H, K)
    found = xp.einsum("bhvk,bhk->bhv", s["S"], x["a"])  # (B, H, V): S₋ a
    changed = xp.einsum("bhv,bhk->bhvk", found, x["b"])  # (B, H, V, K)
    added = xp.einsum("bhv,bhk->bhvk", x["v"], x["k"])  # (B, H, V, K)
    S = s["S"] * decay[:, :, None, :] + changed + added  # (B, H, V, K)
    return {"S": S}, xp.einsum("bhvk,bhk->bhv", S, x["r"])
