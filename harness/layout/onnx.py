"""The layout of ONNX's RNN, LSTM and GRU nodes: output-first like torch's, both directions in one tensor.

The gates have the order i, o, f, c, with c for g, and z, r, h, with h for n. One tensor contains the bias of the
inputs, then that of the state. The two are only ever added, except those of a gru's candidate if the node has
``linear_before_reset`` (see ``pairs``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.layout.base import Tensors, inverse, renamed
from harness.layout.gates import back, reordered
from harness.layout.pairs import TwoBiasesLayout, difference, with_the_first
from harness.tensors import Structure

ORDERS = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}
"""The order of the gates, for cells that do not have the canonical one."""


class OnnxLayout(TwoBiasesLayout):
    """``layerN.W`` (D, G·H, I), ``layerN.R`` (D, G·H, H), ``layerN.B`` (D, 2·G·H), the bias of the inputs first.

    The readout is a MatMul and an Add: ``readout.W`` (D·H, O), ``readout.B`` (O,).
    """

    name = "onnx"

    @override
    def agreeing(self, gradients: Tensors, structure: Structure) -> tuple[Tensors, dict[str, str]]:
        found, wrong, recurrent = dict(gradients), {}, structure.has_recurrent_bias
        for name in [f"layer{n}.B" for n in range(structure.layers)]:
            if (both := gradients.get(name)) is not None:  # (D, 2·G·H)
                halves = f"the first half of {name}", "its second"
                pairs = [np.split(of_direction, 2) for of_direction in both]  # (G·H,) each
                reasons = [difference(one, other, halves, recurrent) for one, other in pairs]
                if any(reasons):
                    wrong[name] = "; ".join(filter(None, reasons))
                    firsts = [[one, with_the_first(one, other, recurrent)] for one, other in pairs]
                    found[name] = np.stack([np.concatenate(each) for each in firsts])
        return found, wrong

    @override
    def _from_canonical(self, tensors: Tensors, structure: Structure, two: Any) -> dict[str, ndarray]:
        converted, order = {}, ORDERS.get(structure.cell)
        for n in range(structure.layers):
            blocks = structure.blocks_of(n)
            for name, matrix in (("W", "W_xh"), ("R", "W_hh")):
                turned = [reordered(tensors[f"{block}.{matrix}"], order).T for block in blocks]  # (G·H, …) each
                converted[f"layer{n}.{name}"] = np.stack(turned)  # (D, G·H, …)
            pairs = [two(tensors[f"{block}.b_h"], tensors.get(f"{block}.b_hn")) for block in blocks]  # (G·H,) each
            in_order = [np.concatenate([reordered(bias, order) for bias in pair]) for pair in pairs]  # (2·G·H,) each
            converted[f"layer{n}.B"] = np.stack(in_order)  # (D, 2·G·H)
        return converted | renamed(tensors, _READOUT)

    @override
    def _to_canonical(self, tensors: Tensors, structure: Structure, one: Any) -> dict[str, ndarray]:
        converted, order = {}, back(ORDERS.get(structure.cell))
        for n in range(structure.layers):
            for d, block in enumerate(structure.blocks_of(n)):
                for name, matrix in (("W", "W_xh"), ("R", "W_hh")):
                    if (both := tensors.get(f"layer{n}.{name}")) is not None:
                        converted[f"{block}.{matrix}"] = reordered(np.ascontiguousarray(both[d].T), order)
                if (both := tensors.get(f"layer{n}.B")) is not None:
                    pair = [reordered(bias, order) for bias in np.split(both[d], 2)]  # (G·H,) each
                    b_h, b_hn = one(*pair, structure.has_recurrent_bias)
                    converted[f"{block}.b_h"] = b_h  # (G·H,)
                    if b_hn is not None:
                        converted[f"{block}.b_hn"] = b_hn  # (H,)
        return converted | renamed(tensors, inverse(_READOUT))


_READOUT = {"readout.W_hy": "readout.W", "readout.b_y": "readout.B"}

LAYOUT = OnnxLayout()
