"""The canonical layout: split weights, the input on the left."""

from __future__ import annotations

from numpy import ndarray
from typing_extensions import override

from harness.layout.base import Layout, Tensors, renamed
from harness.tensors import Structure


class Split(Layout):
    """``layerN.W_xh`` (I, G·H), ``layerN.W_hh`` (H, G·H), ``layerN.b_h`` (G·H,), ``layerN.b_hn`` (H,) of a gru whose
    reset is after the product; the same of ``layerN.reverse``; ``readout.W_hy``, ``readout.b_y``.
    """

    name = "split"

    @override
    def from_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        return renamed(weights, {name: name for name in structure.weights})

    @override
    def to_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        return self.from_canonical(weights, structure)


LAYOUT = Split()
