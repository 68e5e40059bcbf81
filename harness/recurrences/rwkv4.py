"""RWKV-4: an average of values, weighted by exponentials of keys that decay with time (wkv).

    y = (α₋ + exp(u + k) v) / (β₋ + exp(u + k)),   α = exp(−exp w) α₋ + exp(k) v,   β = exp(−exp w) β₋ + exp(k)

with the numerator α = exp(m) a and the denominator β = exp(m) b, so that nothing overflows. m is a running maximum:

    q = max(m₋, u + k):   y = (exp(m₋ − q) a₋ + exp(u + k − q) v) / (exp(m₋ − q) b₋ + exp(u + k − q))
    m = max(m₋ − exp w, k):   a, b = exp(m₋ − exp w − m) (a₋, b₋) + exp(k − m) (v, 1)

Peng, Alcaide, Anthony et al. 2023, "RWKV: Reinventing RNNs for the Transformer Era", with the running maximum of its
appendix and of the authors' kernel. ``w`` is the logarithm that is learned; the kernel is given −exp w. The output does
not depend on m, but the states a and b do, so their gradients go through the maximum.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={"w": "H", "u": "H"},
    inputs={"k": "H", "v": "H"},
    state={"a": "H", "b": "H", "m": "H"},
    positive=("b",),
)
def rwkv4(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Average of values, weighted by exponentials of keys that decay (Peng et al. 2023)."""
    top = xp.maximum(s["m"], w["u"] + x["k"])  # (B, H)
    kept, added = xp.exp(s["m"] - top), xp.exp(w["u"] + x["k"] - top)  # (B, H), (B, H)
    y = (kept * s["a"] + added * x["v"]) / (kept * s["b"] + added)  # (B, H)

    decayed = s["m"] - xp.exp(w["w"])  # (B, H)
    m = xp.maximum(decayed, x["k"])  # (B, H)
    kept, added = xp.exp(decayed - m), xp.exp(x["k"] - m)  # (B, H), (B, H)
    return {"a": kept * s["a"] + added * x["v"], "b": kept * s["b"] + added, "m": m}, y
