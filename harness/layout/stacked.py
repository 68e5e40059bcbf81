"""Input weights on top of recurrent weights in one matrix: the base of the concatenated and the TF1 layout."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.layout import directions
from harness.layout.base import Layout, Tensors, inverse, renamed
from harness.layout.gates import Order, back, reordered
from harness.tensors import Structure


class StackedLayout(Layout):
    """One matrix [W_xh; W_hh] of shape (I + H, G·H) and one bias (G·H,) for each recurrent layer and direction.

    A gru whose reset is after the product also has ``layerN.b_hn`` (H,).
    """

    matrix: str
    """The name of the matrix."""
    bias: str
    """The name of the bias."""
    readout: tuple[str, str]
    """The names of the readout's weight and bias."""
    orders: Mapping[str, Order] = MappingProxyType({})
    """The order of the gates, for cells that do not have the canonical one."""
    directions: tuple[str, str] | None = None
    """The names of the two directions of a bidirectional layer; None for the canonical names."""

    @override
    def from_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted, order = {}, self.orders.get(structure.cell)
        for block, name in self.blocks(structure).items():
            parts = [weights[f"{block}.W_xh"], weights[f"{block}.W_hh"]]
            converted[f"{name}.{self.matrix}"] = reordered(np.concatenate(parts), order)  # (I + H, G·H)
            converted[f"{name}.{self.bias}"] = reordered(weights[f"{block}.b_h"], order)  # (G·H,)
            if structure.has_recurrent_bias:
                converted[f"{name}.b_hn"] = weights[f"{block}.b_hn"]  # (H,)
        return converted | renamed(weights, self._readout_names())

    @override
    def to_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted, order = {}, back(self.orders.get(structure.cell))
        for block, name in self.blocks(structure).items():
            if (matrix := weights.get(f"{name}.{self.matrix}")) is not None:
                I, matrix = structure.input_size(block), reordered(matrix, order)
                converted[f"{block}.W_xh"], converted[f"{block}.W_hh"] = matrix[:I], matrix[I:]
            if (bias := weights.get(f"{name}.{self.bias}")) is not None:
                converted[f"{block}.b_h"] = reordered(bias, order)
            if (recurrent_bias := weights.get(f"{name}.b_hn")) is not None:
                converted[f"{block}.b_hn"] = recurrent_bias
        return converted | renamed(weights, inverse(self._readout_names()))

    def blocks(self, structure: Structure) -> dict[str, str]:
        """Return the beginning of the names of each block's tensors."""
        if self.directions is None:
            return {block: block for block in structure.blocks}
        return directions.named(structure, self.directions)

    def _readout_names(self) -> dict[str, str]:
        weight, bias = self.readout
        return {"readout.W_hy": f"readout.{weight}", "readout.b_y": f"readout.{bias}"}
