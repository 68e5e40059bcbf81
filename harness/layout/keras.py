"""The layout of Keras' recurrent layers.

Keras' lstm has the canonical order of gates, i, f, c, o with c for g. Its gru has z, r, h: z stands first. A gru whose
reset is after the product has both biases in one tensor, the input's on top; in r and z they are only ever added
(see ``pairs``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.layout import directions
from harness.layout.base import Tensors, inverse, renamed
from harness.layout.gates import back, reordered
from harness.layout.pairs import TwoBiasesLayout, difference, with_the_first
from harness.tensors import Structure

ORDERS = {"gru": (1, 0, 2)}
"""The order of the gates, for cells that do not have the canonical one."""


class KerasLayout(TwoBiasesLayout):
    """``layerN.kernel`` (I, G·H), ``layerN.recurrent_kernel`` (H, G·H), ``layerN.bias`` (G·H,).

    The bias of a gru whose reset is after the product is (2, G·H). The names of a Bidirectional layer begin with
    ``layerN.forward.`` and ``layerN.backward.``. The readout is a Dense layer: ``readout.kernel`` (D·H, O),
    ``readout.bias`` (O,).
    """

    name = "keras"

    @override
    def agreeing(self, gradients: Tensors, structure: Structure) -> tuple[Tensors, dict[str, str]]:
        found, wrong = dict(gradients), {}
        for name in [f"{block}.bias" for block in blocks(structure).values()] if structure.has_recurrent_bias else []:
            if (pair := gradients.get(name)) is not None:  # (2, 3H)
                rows = f"row 0 of {name}", "its row 1, but for the candidate's third,"
                if reason := difference(pair[0], pair[1], rows, recurrent=True):
                    found[name] = np.stack([pair[0], with_the_first(pair[0], pair[1], recurrent=True)])
                    wrong[name] = reason
        return found, wrong

    @override
    def _from_canonical(self, tensors: Tensors, structure: Structure, two: Any) -> dict[str, ndarray]:
        tensors = dict(tensors)
        if structure.has_recurrent_bias:
            for block in structure.blocks:
                pair = two(tensors[f"{block}.b_h"], tensors.pop(f"{block}.b_hn"))  # (3H,), (3H,)
                tensors[f"{block}.b_h"] = np.stack(pair)  # (2, 3H)
        order = ORDERS.get(structure.cell)
        recurrent = {name: reordered(tensor, order) for name, tensor in tensors.items() if name.startswith("layer")}
        return renamed(tensors | recurrent, _names(structure))

    @override
    def _to_canonical(self, tensors: Tensors, structure: Structure, one: Any) -> dict[str, ndarray]:
        converted = renamed(tensors, inverse(_names(structure)))
        order = back(ORDERS.get(structure.cell))
        for name, tensor in converted.items():
            if name.startswith("layer"):
                converted[name] = reordered(tensor, order)
        if structure.has_recurrent_bias:
            for block in structure.blocks:
                if (pair := converted.get(f"{block}.b_h")) is not None:  # (2, 3H)
                    converted[f"{block}.b_h"], converted[f"{block}.b_hn"] = one(pair[0], pair[1], True)
        return converted


def blocks(structure: Structure) -> dict[str, str]:
    """Return the beginning of the names of each block's tensors."""
    return directions.named(structure, ("forward", "backward"))


def _names(structure: Structure) -> dict[str, str]:
    """Return Keras' name of every canonical tensor."""
    names = {}
    for block, name in blocks(structure).items():
        names[f"{block}.W_xh"] = f"{name}.kernel"
        names[f"{block}.W_hh"] = f"{name}.recurrent_kernel"
        names[f"{block}.b_h"] = f"{name}.bias"
    return names | {"readout.W_hy": "readout.kernel", "readout.b_y": "readout.bias"}


LAYOUT = KerasLayout()
