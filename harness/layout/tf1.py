"""The layout of TensorFlow 1's cells (``tf.compat.v1.nn.rnn_cell``).

An lstm's gates have the order i, j, f, o, with j for g. The cell adds ``FORGET_BIAS`` to the pre-activation of f at run
time, so the stored bias is the canonical one less ``FORGET_BIAS``. No other conversion rounds: f's bias may lose half a
unit in the last place of 1 if it is smaller than 1/2. Gradients by both biases are the same.

A gru's two kernels, of the gates and of the candidate, stand side by side; its r and u are r and z.
"""

from __future__ import annotations

from types import MappingProxyType

from numpy import ndarray
from typing_extensions import override

from harness.layout.base import Tensors
from harness.layout.stacked import StackedLayout
from harness.tensors import Structure

FORGET_BIAS = 1
"""The number that BasicLSTMCell adds by default."""


class TF1Layout(StackedLayout):
    """``layerN.kernel`` (I + H, G·H), ``layerN.bias`` (G·H,); ``readout.kernel`` (D·H, O), ``readout.bias`` (O,).

    The names of a bidirectional layer begin with ``layerN.fw.`` and ``layerN.bw.``.

    Args:
        forget_bias: The number that the lstm cell adds at run time.
    """

    name = "tf1"
    matrix, bias = "kernel", "bias"
    readout = ("kernel", "bias")
    orders = MappingProxyType({"lstm": (0, 2, 1, 3)})
    directions = ("fw", "bw")

    def __init__(self, forget_bias: float = FORGET_BIAS) -> None:
        self.forget_bias = forget_bias

    @override
    def from_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        return self._with_forget_bias(super().from_canonical(weights, structure), structure, -self.forget_bias)

    @override
    def to_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        return super().to_canonical(self._with_forget_bias(dict(weights), structure, self.forget_bias), structure)

    @override
    def gradients_from_canonical(self, gradients: Tensors, structure: Structure) -> dict[str, ndarray]:
        return super().from_canonical(gradients, structure)

    @override
    def gradients_to_canonical(self, gradients: Tensors, structure: Structure) -> dict[str, ndarray]:
        return super().to_canonical(gradients, structure)

    def _with_forget_bias(self, tensors: dict[str, ndarray], structure: Structure, more: float) -> dict[str, ndarray]:
        """Return tensors in this layout with ``more`` added to the biases of the forget gates, the third blocks."""
        H = structure.hidden
        for name in self.blocks(structure).values() if structure.cell == "lstm" else ():
            if (bias := tensors.get(f"{name}.{self.bias}")) is not None:
                bias = bias.copy()  # (4H,)
                bias[2 * H : 3 * H] += bias.dtype.type(more)  # (H,)
                tensors[f"{name}.{self.bias}"] = bias
        return tensors


LAYOUT = TF1Layout()
