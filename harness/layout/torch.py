"""The layout of torch's recurrent modules, with the names of their ``state_dict`` and an ``nn.Linear`` as the readout.

torch keeps each matrix output-first and gives each layer two biases. The two are only ever added, except those of a
gru's candidate (see ``pairs``). The gates have the canonical order.
"""

from __future__ import annotations

from numpy import ndarray
from typing_extensions import override

from harness.layout.base import Layout, Tensors, inverse, renamed, transposed
from harness.layout.pairs import difference, one_bias, one_gradient, two_biases, two_gradients, with_the_first
from harness.tensors import Structure


class TorchLayout(Layout):
    """``weight_ih_lN`` (G·H, I), ``weight_hh_lN`` (G·H, H), ``bias_ih_lN`` and ``bias_hh_lN`` (G·H,).

    A bidirectional layer has the same tensors with the suffix ``_reverse``. The readout is ``readout.weight`` (O, D·H),
    ``readout.bias`` (O,).
    """

    name = "torch"

    @override
    def from_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted = transposed(renamed(weights, _matrices(structure)))
        for block in structure.blocks:
            pair = two_biases(weights[f"{block}.b_h"], weights.get(f"{block}.b_hn"))
            converted |= zip(_biases(block), pair, strict=True)
        return converted | renamed(weights, _READOUT_BIAS)

    @override
    def to_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted = self._without_biases(weights, structure)
        for block in structure.blocks:
            first, second = (weights.get(name) for name in _biases(block))
            if first is not None and second is not None:
                converted |= _present(block, *one_bias(first, second, structure.has_recurrent_bias))
        return converted

    @override
    def gradients_from_canonical(self, gradients: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted = self.from_canonical(gradients, structure)
        for block in structure.blocks:
            pair = two_gradients(gradients[f"{block}.b_h"], gradients.get(f"{block}.b_hn"))
            converted |= zip(_biases(block), pair, strict=True)
        return converted

    @override
    def gradients_to_canonical(self, gradients: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted = self._without_biases(gradients, structure)
        for block in structure.blocks:
            first, second = (gradients.get(name) for name in _biases(block))
            converted |= _present(block, *one_gradient(first, second, structure.has_recurrent_bias))
        return converted

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

    @staticmethod
    def _without_biases(tensors: Tensors, structure: Structure) -> dict[str, ndarray]:
        matrices = transposed(renamed(tensors, inverse(_matrices(structure))))
        return matrices | renamed(tensors, inverse(_READOUT_BIAS))


_READOUT_BIAS = {"readout.b_y": "readout.bias"}


def _suffix(block: str) -> str:
    """Return the end of torch's names of a block's tensors: ``l0_reverse`` for ``layer0.reverse``."""
    return block.replace("layer", "l").replace(".", "_")


def _biases(block: str) -> tuple[str, str]:
    return f"bias_ih_{_suffix(block)}", f"bias_hh_{_suffix(block)}"


def _present(block: str, b_h: ndarray | None, b_hn: ndarray | None) -> dict[str, ndarray]:
    named = {f"{block}.b_h": b_h, f"{block}.b_hn": b_hn}
    return {name: bias for name, bias in named.items() if bias is not None}


def _matrices(structure: Structure) -> dict[str, str]:
    """Return torch's name of every canonical matrix."""
    names = {}
    for block in structure.blocks:
        names[f"{block}.W_xh"] = f"weight_ih_{_suffix(block)}"
        names[f"{block}.W_hh"] = f"weight_hh_{_suffix(block)}"
    return names | {"readout.W_hy": "readout.weight"}


LAYOUT = TorchLayout()
