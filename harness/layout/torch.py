"""The layout of torch's recurrent modules, as their ``state_dict`` has it, with the readout as an ``nn.Linear``.

torch keeps each matrix output-first, and gives each layer two biases that are only ever added. One bias b therefore
becomes a pair whose sum is b to the bit. Which pair is free, and (b, 0) would let everything pass that forgets the
second bias or adds the first one twice; so it is (2b, −b).

Backwards, the chain rule through b ↦ (2b, −b) makes the canonical gradient 2·d_ih − d_hh: it is right when both are
right, and wrong when either is wrong.
"""

from __future__ import annotations

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.layout.base import Layout, Tensors, inverse, renamed, transposed
from harness.tensors import Structure


class Torch(Layout):
    """``weight_ih_lN`` (G·H, I), ``weight_hh_lN`` (G·H, H), ``bias_ih_lN`` and ``bias_hh_lN`` (G·H,);
    ``readout.weight`` (O, H), ``readout.bias`` (O,).
    """

    name = "torch"

    @override
    def from_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted = transposed(renamed(weights, _matrices(structure)))
        for n, block in enumerate(structure.blocks):
            converted[f"bias_ih_l{n}"], converted[f"bias_hh_l{n}"] = two_biases(weights[f"{block}.b_h"])
        return converted | renamed(weights, _READOUT_BIAS)

    @override
    def to_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted = self._without_biases(weights, structure)
        for n, block in enumerate(structure.blocks):
            pair = [weights[name] for name in (f"bias_ih_l{n}", f"bias_hh_l{n}") if name in weights]
            if len(pair) == 2:
                converted[f"{block}.b_h"] = pair[0] + pair[1]
        return converted

    @override
    def gradients_from_canonical(self, gradients: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted = self.from_canonical(gradients, structure)
        for n, block in enumerate(structure.blocks):
            converted[f"bias_ih_l{n}"] = converted[f"bias_hh_l{n}"] = gradients[f"{block}.b_h"]
        return converted

    @override
    def gradients_to_canonical(self, gradients: Tensors, structure: Structure) -> dict[str, ndarray]:
        converted = self._without_biases(gradients, structure)
        for n, block in enumerate(structure.blocks):
            pair = [gradients[name] for name in (f"bias_ih_l{n}", f"bias_hh_l{n}") if name in gradients]
            if pair:
                converted[f"{block}.b_h"] = one_gradient(pair[0], pair[-1])
        return converted

    @staticmethod
    def _without_biases(tensors: Tensors, structure: Structure) -> dict[str, ndarray]:
        matrices = transposed(renamed(tensors, inverse(_matrices(structure))))
        return matrices | renamed(tensors, inverse(_READOUT_BIAS))


_READOUT_BIAS = {"readout.b_y": "readout.bias"}


def _matrices(structure: Structure) -> dict[str, str]:
    """Torch's name of every canonical matrix."""
    names = {}
    for n, block in enumerate(structure.blocks):
        names[f"{block}.W_xh"] = f"weight_ih_l{n}"
        names[f"{block}.W_hh"] = f"weight_hh_l{n}"
    return names | {"readout.W_hy": "readout.weight"}


def two_biases(bias: ndarray) -> tuple[ndarray, ndarray]:
    """Return a pair of biases whose sum is ``bias`` to the bit: (2b, −b); (b, −0) where 2b overflows or b is ±0."""
    with np.errstate(over="ignore"):
        doubled = bias + bias
    splits = np.isfinite(doubled) & (bias != 0) if bias.dtype.kind == "f" else np.zeros(bias.shape, bool)
    return np.where(splits, doubled, bias), np.where(splits, -bias, -np.zeros_like(bias))


def one_gradient(of_first: ndarray, of_second: ndarray) -> ndarray:
    """Return the gradient by b of a loss whose gradients by the biases 2b and −b are given: 2·first − second."""
    with np.errstate(invalid="ignore", over="ignore"):  # inf − inf, where the two agree and the difference is not used
        return np.where(of_first == of_second, of_first, of_first + (of_first - of_second))


LAYOUT = Torch()
