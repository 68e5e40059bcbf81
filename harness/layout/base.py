"""The base of weight layouts: other names and shapes for the same numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy import ndarray

from harness.tensors import Shape, Structure

Tensors = Mapping[str, ndarray]


class Layout(ABC):
    """A way to hold a network's weights, with the conversions from the canonical layout and back to it.

    A conversion there and back gives the same bits. Gradients convert, too. An implementation returns the gradient
    by the layout's own tensors, and the canonical gradient follows from it by the chain rule through
    ``from_canonical``. If each number only moves, this is the same conversion as that of the weights.

    Initial states, inputs and outputs are the same in every layout.
    """

    name: str

    @abstractmethod
    def from_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        """Convert a complete set of weights."""

    @abstractmethod
    def to_canonical(self, weights: Tensors, structure: Structure) -> dict[str, ndarray]:
        """Convert back the weights that are given, which may be a part of all; each must have its proper shape."""

    def gradients_from_canonical(self, gradients: Tensors, structure: Structure) -> dict[str, ndarray]:
        """Convert the gradients of a complete set of weights to those by the layout's tensors."""
        return self.from_canonical(gradients, structure)

    def gradients_to_canonical(self, gradients: Tensors, structure: Structure) -> dict[str, ndarray]:
        """Convert back the gradients that are given, which may be a part of all; each must have its proper shape."""
        return self.to_canonical(gradients, structure)

    def agreeing(self, gradients: Tensors, structure: Structure) -> tuple[Tensors, dict[str, str]]:
        """Return gradients that do not contradict each other, and the problem of each that does.

        Args:
            gradients: Gradients by the layout's names, each of its proper shape; some may be missing.
            structure: The network.

        Returns:
            The gradients, and the problems by name. If two gradients are equal in every right answer, the first stands
            for both, and a problem has the name of the second or of the one that is missing.
        """
        del structure
        return gradients, {}

    def shapes(self, structure: Structure) -> dict[str, Shape]:
        """Return the names and shapes of the layout's tensors, in the order of the canonical ones."""
        blanks = {name: np.zeros(shape, np.int8) for name, shape in structure.weights.items()}
        return {name: tensor.shape for name, tensor in self.from_canonical(blanks, structure).items()}


def renamed(tensors: Tensors, names: Mapping[str, str]) -> dict[str, ndarray]:
    """Return the tensors that ``names`` contains, each under the name that it is mapped to."""
    return {new: tensors[old] for old, new in names.items() if old in tensors}


def transposed(tensors: Mapping[str, ndarray]) -> dict[str, ndarray]:
    """Transpose the matrices among ``tensors``."""
    return {name: np.ascontiguousarray(tensor.T) for name, tensor in tensors.items()}


def inverse(names: Mapping[str, str]) -> dict[str, str]:
    """Return the renaming that undoes another."""
    return {new: old for old, new in names.items()}
