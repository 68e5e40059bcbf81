"""Linear attention: causal attention with the kernel φ(q)·φ(k), as a recurrence.

    S = S₋ + φ(k) vᵀ,   z = z₋ + φ(k),   y = Sᵀ φ(q) / (φ(q)·z + 1e-6),   φ(v) = elu(v) + 1

for each of H heads; S is (K, V), q, k, z are K wide, v is V wide.

Katharopoulos, Vyas, Pappas and Fleuret 2020, "Transformers are RNNs: Fast Autoregressive Transformers with Linear
Attention". The epsilon is that of the authors' code; the paper has none.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence

EPSILON = 1e-6


@recurrence(
    weights={},
    inputs={"q": "H K", "k": "H K", "v": "H V"},
    state={"S": "H K V", "z": "H K"},
    positive=("z",),
)
def linear_attention(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Causal attention with a kernel of elu + 1, as a recurrence (Katharopoulos et al. 2020)."""
    del w

    def phi(v: Any) -> Any:
        return xp.where(v > 0, v + 1, xp.exp(xp.minimum(v, 0)))

    q, k = phi(x["q"]), phi(x["k"])  # (B, H, K), (B, H, K)
    S = s["S"] + xp.einsum("bhk,bhv->bhkv", k, x["v"])  # (B, H, K, V)
    z = s["z"] + k  # (B, H, K)
    weight = xp.sum(q * z, axis=-1, keepdims=True) + EPSILON  # (B, H, 1)
    return {"S": S, "z": z}, xp.einsum("bhk,bhkv->bhv", q, S) / weight
