"""The layout of TensorFlow 1's cells (``tf.compat.v1.nn.rnn_cell``)."""

from __future__ import annotations

from harness.layout.stacked import Stacked


class TF1(Stacked):
    """``layerN.kernel`` (I + H, G·H), ``layerN.bias`` (G·H,); ``readout.kernel`` (H, O), ``readout.bias`` (O,)."""

    name = "tf1"
    matrix, bias = "kernel", "bias"
    readout = ("kernel", "bias")


LAYOUT = TF1()
