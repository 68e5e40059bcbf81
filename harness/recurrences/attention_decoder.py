"""Attention inside the loop: a gated recurrent unit that reads a memory before each step.

    e_j = v_a · tanh(h₋ W_a + m_j U_a),   α = softmax(e),   c = Σ_j α_j m_j
    z, r = σ(x W + h₋ U + c C + b),   h̃ = tanh(x W + (r ∘ h₋) U + c C + b),   h = (1 − z) ∘ h₋ + z ∘ h̃

m_j is row j of the context ``memory``, (M, E). z, r and h̃ stand side by side in W, U, C and b.

Bahdanau, Cho and Bengio 2014, "Neural Machine Translation by Jointly Learning to Align and Translate", appendix A;
x is the embedded word before. Biases, which the paper omits, are added. |e_j| is at most the sum of |v_a|, so the
softmax subtracts no maximum.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence


@recurrence(
    weights={
        "W": "I 3*H",
        "U": "H 3*H",
        "C": "E 3*H",
        "b": "3*H",
        "W_a": "H A",
        "U_a": "E A",
        "v_a": "A",
    },
    inputs={"x": "I"},
    state={"h": "H"},
    context={"memory": "M E"},
)
def attention_decoder(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """Gated recurrent unit that reads a memory before each step (Bahdanau et al. 2014)."""
    H = s["h"].shape[-1]
    query = s["h"] @ w["W_a"]  # (B, A)
    seen = xp.tanh(query[:, None, :] + x["memory"] @ w["U_a"])  # (B, M, A)
    score = xp.sum(seen * w["v_a"], axis=-1)  # (B, M)
    weight = xp.exp(score)  # (B, M)
    weight = weight / xp.sum(weight, axis=-1, keepdims=True)  # (B, M)
    read = xp.einsum("bm,bme->be", weight, x["memory"])  # (B, E)

    a = x["x"] @ w["W"] + read @ w["C"] + w["b"]  # (B, 3H)
    gates = xp.sigmoid(a[:, : 2 * H] + s["h"] @ w["U"][:, : 2 * H])  # (B, 2H)
    z, r = gates[:, :H], gates[:, H:]  # (B, H), (B, H)
    candidate = xp.tanh(a[:, 2 * H :] + (r * s["h"]) @ w["U"][:, 2 * H :])  # (B, H)
    h = (1 - z) * s["h"] + z * candidate  # (B, H)
    return {"h": h}, h
