"""The layout of Keras' recurrent layers."""

from __future__ import annotations

from numpy import ndarray
from typing_extensions import override

from harness.layout.base import Layout, Tensors, inverse, renamed
from harness.tensors import Structure


class Keras(Layout):
    """``layerN.kernel`` (I, G·H), ``layerN.recurrent_kernel`` (H, G·H), ``layerN.bias`` (G·H,); the readout is a Dense
    layer, ``readout.kernel`` (H, O), ``readout.bias`` (O,).
    """

    name = "keras"

    @override
    def from_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        return renamed(weights, _names(structure))

    @override
    def to_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        return renamed(weights, inverse(_names(structure)))


def _names(structure: Structure) -> dict[str, str]:
    """Keras' name of every canonical tensor."""
    names = {}
    for block in structure.blocks:
        names[f"{block}.W_xh"] = f"{block}.kernel"
        names[f"{block}.W_hh"] = f"{block}.recurrent_kernel"
        names[f"{block}.b_h"] = f"{block}.bias"
    return names | {"readout.W_hy": "readout.kernel", "readout.b_y": "readout.bias"}


LAYOUT = Keras()
