"""The layout of hand-written cells that multiply [x_t, h_{t-1}] with one matrix."""

from __future__ import annotations

from harness.layout.stacked import StackedLayout


class ConcatenatedLayout(StackedLayout):
    """``layerN.W`` (I + H, G·H), ``layerN.b`` (G·H,), ``readout.W_hy`` (D·H, O), ``readout.b_y`` (O,).

    A gru whose reset is after the product also has ``layerN.b_hn`` (H,). A bidirectional layer has the same tensors
    under ``layerN.reverse``.
    """

    name = "concatenated"
    matrix, bias = "W", "b"
    readout = ("W_hy", "b_y")


LAYOUT = ConcatenatedLayout()
