"""The layout of hand-written cells that multiply [x_t, h_{t-1}] with one matrix."""

from __future__ import annotations

from harness.layout.stacked import Stacked


class Concatenated(Stacked):
    """``layerN.W`` (I + H, G·H), ``layerN.b`` (G·H,), ``layerN.b_hn`` (H,) of a gru whose reset is after the
    product, and the same of ``layerN.reverse``; ``readout.W_hy`` (D·H, O), ``readout.b_y`` (O,).
    """

    name = "concatenated"
    matrix, bias = "W", "b"
    readout = ("W_hy", "b_y")


LAYOUT = Concatenated()
