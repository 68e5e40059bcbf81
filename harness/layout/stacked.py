"""Input weights on top of recurrent weights in one matrix: what the concatenated and the TF1 layout have in common."""

from __future__ import annotations

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.layout.base import Layout, Tensors, inverse, renamed
from harness.tensors import Structure


class Stacked(Layout):
    """One matrix [W_xh; W_hh] of shape (I + H, G·H) and one bias for each recurrent layer."""

    matrix: str
    """The name of the matrix."""
    bias: str
    """The name of the bias."""
    readout: tuple[str, str]
    """The names of the readout's weight and bias."""

    @override
    def from_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted = {}
        for block in structure.blocks:
            parts = [weights[f"{block}.W_xh"], weights[f"{block}.W_hh"]]
            converted[f"{block}.{self.matrix}"] = np.concatenate(parts)  # (I + H, G·H)
            converted[f"{block}.{self.bias}"] = weights[f"{block}.b_h"]
        return converted | renamed(weights, self._readout_names())

    @override
    def to_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted = {}
        for block in structure.blocks:
            if (matrix := weights.get(f"{block}.{self.matrix}")) is not None:
                I = structure.input_size(block)
                converted[f"{block}.W_xh"], converted[f"{block}.W_hh"] = matrix[:I], matrix[I:]
            if (bias := weights.get(f"{block}.{self.bias}")) is not None:
                converted[f"{block}.b_h"] = bias
        return converted | renamed(weights, inverse(self._readout_names()))

    def _readout_names(self) -> dict[str, str]:
        weight, bias = self.readout
        return {"readout.W_hy": f"readout.{weight}", "readout.b_y": f"readout.{bias}"}
