"""LayerNorm LSTM: both products and the cell are normalised.

    LN(v; g) = g ∘ (v − mean v) / √(mean (v − mean v)² + 1e-5)
    a = LN(x W; g_x) + LN(h₋ U; g_h) + b
    i, f, g, o = σ, σ, tanh, σ of the four quarters of a
    c = f ∘ c₋ + i ∘ g,   h = o ∘ tanh(LN(c; g_c) + b_c)

The mean goes over all 4H elements of a product at once, and over the H elements of the cell. The state c is the cell
before its normalisation.

Ba, Kiros and Hinton 2016, "Layer Normalization", equations 20 to 22. b is the sum of the two shifts of the paper's
products. The paper writes no epsilon; 1e-5 inside the root is that of torch.nn.LayerNorm. Other code normalises
each gate by itself.
"""

from __future__ import annotations

from typing import Any

from harness.recurrences.base import recurrence

EPSILON = 1e-5


@recurrence(
    weights={"W": "I 4*H", "U": "H 4*H", "b": "4*H", "g_x": "4*H", "g_h": "4*H", "g_c": "H", "b_c": "H"},
    inputs={"x": "I"},
    state={"h": "H", "c": "H"},
)
def layer_norm_lstm(xp: Any, w: Any, x: Any, s: Any) -> Any:
    """LSTM with normalised products and cell (Ba et al. 2016)."""
    H = s["h"].shape[-1]

    def normalised(v: Any) -> Any:
        centred = v - xp.mean(v, axis=-1, keepdims=True)
        return centred / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + EPSILON)

    from_input = w["g_x"] * normalised(x["x"] @ w["W"])  # (B, 4H)
    from_state = w["g_h"] * normalised(s["h"] @ w["U"])  # (B, 4H)
    a = from_input + from_state + w["b"]  # (B, 4H)
    i = xp.sigmoid(a[:, :H])  # (B, H)
    f = xp.sigmoid(a[:, H : 2 * H])  # (B, H)
    g = xp.tanh(a[:, 2 * H : 3 * H])  # (B, H)
    o = xp.sigmoid(a[:, 3 * H :])  # (B, H)
    c = f * s["c"] + i * g  # (B, H)
    h = o * xp.tanh(w["g_c"] * normalised(c) + w["b_c"])  # (B, H)
    return {"h": h, "c": c}, h
