"""The layout of Flax's recurrent cells: each gate has one kernel for the inputs and one for the state.

A gate has one bias, which belongs to one of its two kernels: the state's in an lstm, the inputs' in an rnn and a gru.
The candidate of a gru has a bias for each kernel, and its reset is after the product.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.layout import directions
from harness.layout.base import Layout, Tensors, inverse, renamed
from harness.tensors import GATE_NAMES, Structure

SIDE_OF_BIAS = MappingProxyType({"rnn": "i", "lstm": "h", "gru": "i"})
"""The kernels that the biases of each cell belong to: ``i``, the inputs', or ``h``, the state's."""


class FlaxLayout(Layout):
    """``layerN.GATE.kernel`` (I, H) of the inputs and (H, H) of the state, ``layerN.GATE.bias`` (H,) of one of the two.

    An rnn has ``i`` and ``h``; an lstm ``ii``, ``if``, ``ig``, ``io`` and ``hi``, ``hf``, ``hg``, ``ho``; a gru ``ir``,
    ``iz``, ``in`` and ``hr``, ``hz``, ``hn``. The names of a Bidirectional layer begin with ``layerN.forward.`` and
    ``layerN.backward.``. The readout is a Dense layer, ``readout.kernel`` (D·H, O), ``readout.bias`` (O,).
    """

    name = "flax"

    @override
    def from_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted: dict[str, ndarray] = {}
        for tensor, names in _names(structure):
            parts = np.split(weights[tensor], len(names), axis=-1)  # (…, H) each
            converted |= {name: np.ascontiguousarray(part) for name, part in zip(names, parts, strict=True)}
        return converted | renamed(weights, _READOUT)

    @override
    def to_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted = {
            tensor: np.concatenate([weights[name] for name in names], axis=-1)  # (…, G·H)
            for tensor, names in _names(structure)
            if all(name in weights for name in names)
        }
        return converted | renamed(weights, inverse(_READOUT))


_READOUT = {"readout.W_hy": "readout.kernel", "readout.b_y": "readout.bias"}


def blocks(structure: Structure) -> dict[str, str]:
    """Return the beginning of the names of each block's tensors."""
    return directions.named(structure, ("forward", "backward"))


def _names(structure: Structure) -> Iterator[tuple[str, list[str]]]:
    """Yield the canonical tensors of the layers, each with the names of the tensors that it is made of."""
    gates = GATE_NAMES[structure.cell] if structure.cell != "rnn" else ("",)
    for block, name in blocks(structure).items():
        yield f"{block}.W_xh", [f"{name}.i{gate}.kernel" for gate in gates]
        yield f"{block}.W_hh", [f"{name}.h{gate}.kernel" for gate in gates]
        yield f"{block}.b_h", [f"{name}.{SIDE_OF_BIAS[structure.cell]}{gate}.bias" for gate in gates]
        if structure.has_recurrent_bias:
            yield f"{block}.b_hn", [f"{name}.hn.bias"]


LAYOUT = FlaxLayout()
