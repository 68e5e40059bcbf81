"""The canonical layout: split weights, the input on the left."""

from __future__ import annotations

from numpy import ndarray
from typing_extensions import override

from harness.layout.base import Layout, Tensors, renamed
from harness.tensors import Structure


class SplitLayout(Layout):
    """``layerN.W_xh`` (I, G·H), ``layerN.W_hh`` (H, G·H), ``layerN.b_h`` (G·H,), ``readout.W_hy``, ``readout.b_y``.

    A gru whose reset is after the product also has ``layerN.b_hn`` (H,). A bidirectional layer has the same tensors
    under ``layerN.reverse``.
    """

    name = "split"

    @override
    def from_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        return renamed(weights, {name: name for name in structure.weights})

    @override
    def to_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        return self.from_canonical(weights, structure)


LAYOUT = SplitLayout()
