"""The layout of torch's recurrent modules, with the names of their ``state_dict`` and an ``nn.Linear`` as the readout.

torch keeps each matrix output-first and gives each layer two biases. The two are only ever added, except those of a
gru's candidate (see ``pairs``). The gates have the canonical order.
"""

from __future__ import annotations

from typing import Any

from numpy import ndarray
from typing_extensions import override

from harness.layout.base import Tensors, inverse, renamed, transposed
from harness.layout.pairs import TwoBiasesLayout, difference, with_the_first
from harness.tensors import Structure


class TorchLayout(TwoBiasesLayout):
    """``weight_ih_lN`` (G·H, I), ``weight_hh_lN`` (G·H, H), ``bias_ih_lN`` and ``bias_hh_lN`` (G·H,).

    A bidirectional layer has the same tensors with the suffix ``_reverse``. The readout is ``readout.weight`` (O, D·H),
    ``readout.bias`` (O,).
    """

    name = "torch"

    @override
    def agreeing(self, gradients: Tensors, structure: Structure) -> tuple[Tensors, dict[str, str]]:
        found, wrong, recurrent = dict(gradients), {}, structure.has_recurrent_bias
        for block in structure.blocks:
            names = _biases(block)
            first, second = (gradients.get(name) for name in names)
            if first is not None and second is not None and (reason := difference(first, second, names, recurrent)):
                found[names[1]], wrong[names[1]] = with_the_first(first, second, recurrent), reason
            elif (first is None) != (second is None):
                wrong[names[0 if first is None else 1]] = "is missing"
        return found, wrong

    @override
    def _from_canonical(self, tensors: Tensors, structure: Structure, two: Any) -> dict[str, ndarray]:
        converted = transposed(renamed(tensors, _matrices(structure)))
        for block in structure.blocks:
            pair = two(tensors[f"{block}.b_h"], tensors.get(f"{block}.b_hn"))
            converted |= zip(_biases(block), pair, strict=True)
        return converted | renamed(tensors, _READOUT_BIAS)

    @override
    def _to_canonical(self, tensors: Tensors, structure: Structure, one: Any) -> dict[str, ndarray]:
        converted = transposed(renamed(tensors, inverse(_matrices(structure))))
        for block in structure.blocks:
            first, second = (tensors.get(name) for name in _biases(block))
            b_h, b_hn = one(first, second, structure.has_recurrent_bias)
            named = {f"{block}.b_h": b_h, f"{block}.b_hn": b_hn}
            converted |= {name: bias for name, bias in named.items() if bias is not None}
        return converted | renamed(tensors, inverse(_READOUT_BIAS))


_READOUT_BIAS = {"readout.b_y": "readout.bias"}


def _suffix(block: str) -> str:
    """Return the end of torch's names of a block's tensors: ``l0_reverse`` for ``layer0.reverse``."""
    return block.replace("layer", "l").replace(".", "_")


def _biases(block: str) -> tuple[str, str]:
    return f"bias_ih_{_suffix(block)}", f"bias_hh_{_suffix(block)}"


def _matrices(structure: Structure) -> dict[str, str]:
    """Return torch's name of every canonical matrix."""
    names = {}
    for block in structure.blocks:
        names[f"{block}.W_xh"] = f"weight_ih_{_suffix(block)}"
        names[f"{block}.W_hh"] = f"weight_hh_{_suffix(block)}"
    return names | {"readout.W_hy": "readout.weight"}


LAYOUT = TorchLayout()
