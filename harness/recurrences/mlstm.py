"""mLSTM: a matrix memory with exponential gates, stabilised by a running maximum.

    m = max(log σ(f) + m₋, i),   f' = exp(log σ(f) + m₋ − m),   i' = exp(i − m),   k' = k / √K
    C = f' C₋ + i' v k'ᵀ,   n = f' n₋ + i' k',   h̃ = C q / max(|n·q|, exp(−m))

for each of H heads; C is (V, K), n, q, k are K wide, v is V wide, i and f are pre-activations of the gates.

Beck, Pöppel, Spanring, Auer, Prudnikova, Kopp, Klambauer, Brandstetter and Hochreiter 2024, "xLSTM: Extended Long
Short-Term Memory". C and n are the paper's times exp(−m), so that the paper's max(|n·q|, 1) becomes exp(−m) here. The
forget gate is the sigmoid, of the two that the paper allows. The authors' code adds 1e-6 to the denominator, and
their kernels scale q in place of k; neither is taken. The output gate comes after, so h̃ is the output.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={},
    inputs={"q": "H K", "k": "H K", "v": "H V", "i": "H", "f": "H"},
    state={"C": "H V K", "n": "H K", "m": "H"},
)
def mlstm(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Matrix memory with exponential gates, of xLSTM (Beck et al. 2024)."""
    del w
    k = x["k"] * x["k"].shape[-1] ** -0.5  # (B, H, K)
    kept = s["m"] - xp.softplus(-x["f"])  # (B, H): log σ(f) + m₋
    m = xp.maximum(kept, x["i"])  # (B, H)
    f, i = xp.exp(kept - m), xp.exp(x["i"] - m)  # (B, H), (B, H)
    C = f[:, :, None, None] * s["C"] + i[:, :, None, None] * xp.einsum("bhv,bhk->bhvk", x["v"], k)  # (B, H, V, K)
    n = f[:, :, None] * s["n"] + i[:, :, None] * k  # (B, H, K)
    weight = xp.maximum(xp.abs(xp.sum(n * x["q"], axis=-1)), xp.exp(-m))  # (B, H)
    h = xp.einsum("bhvk,bhk->bhv", C, x["q"]) / weight[:, :, None]  # (B, H, V)
    return {"C": C, "n": n, "m": m}, h
