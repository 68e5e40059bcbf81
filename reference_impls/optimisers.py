r"""Optimisers and gradient clipping: the update of the weights between two steps of training.

With w a weight, g its gradient, α the learning rate and t the number of the update, counted from 1:

    sgd      w ← w − α g

    adam     m ← β₁ m + (1 − β₁) g                  m₀ = 0, the first moment
             v ← β₂ v + (1 − β₂) g²                 v₀ = 0, the second one, elementwise
             m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)  the moments start at zero, and are too small by these factors
             w ← w − α m̂ / (√v̂ + ε)

Adam is algorithm 1 of Kingma and Ba 2015 ("Adam: a method for stochastic optimization", arXiv:1412.6980), with their
β₁ = 0.9, β₂ = 0.999, ε = 1e-8. The end of their section 2 has another order, α √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε̂).
The two agree only for ε̂ = ε √(1 − β₂ᵗ); with the same ε in both places they are two optimisers.

A gradient can be too long for a step (Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural
networks"), so it is limited first:

    by value   g ← min(max(g, −c), c)               each element on its own
    by norm    g ← g · c / ‖g‖ where ‖g‖ > c        ‖g‖² = Σ g² over all weights together: the direction stays

Weights and gradients are dictionaries of arrays with the same names. Arguments are not changed; every function returns
new arrays in the dtype of its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

Tensors = Mapping[str, ndarray]

BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-8


class Moments(NamedTuple):
    """The state of Adam between two updates."""

    first: Tensors  # m, of the shape of each weight
    second: Tensors  # v, of the shape of each weight
    updates: int  # t, the number of updates so far


def sgd(weights: Tensors, gradients: Tensors, lr: float) -> dict[str, ndarray]:
    """Return the weights after one update by gradient descent, each of its own shape.

    Args:
        weights: The trained weights.
        gradients: A gradient for each of them.
        lr: The learning rate α.

    Raises:
        KeyError: If a gradient is missing.
    """
    return {name: w - lr * gradients[name] for name, w in weights.items()}


def no_moments(weights: Tensors) -> Moments:
    """Return the initial state of Adam."""
    zeros = {name: np.zeros_like(w) for name, w in weights.items()}
    return Moments(zeros, zeros, 0)


def adam(weights: Tensors, gradients: Tensors, moments: Moments, lr: float) -> tuple[dict[str, ndarray], Moments]:
    """Return the weights after one update by Adam, each of its own shape, and the moments after it.

    β₁ is ``BETA_1``, β₂ is ``BETA_2``, and ε is ``EPSILON``, outside the root.

    Args:
        weights: The trained weights.
        gradients: A gradient for each of them.
        moments: ``no_moments`` before the first update, then the moments that the update before returned.
        lr: The learning rate α.

    Raises:
        KeyError: If a gradient is missing.
    """
    t = moments.updates + 1
    first = {name: BETA_1 * moments.first[name] + (1 - BETA_1) * gradients[name] for name in weights}
    second = {name: BETA_2 * moments.second[name] + (1 - BETA_2) * gradients[name] ** 2 for name in weights}
    # The corrections are Python's floats: in float32, 1 − 0.999 would have only four right digits.
    correction_1, correction_2 = 1 - BETA_1**t, 1 - BETA_2**t
    updated = {
        name: w - lr * (first[name] / correction_1) / (np.sqrt(second[name] / correction_2) + EPSILON)
        for name, w in weights.items()
    }
    return updated, Moments(first, second, t)


def clipped_by_value(gradients: Tensors, limit: float) -> dict[str, ndarray]:
    """Return the gradients with each element cut off at ±limit, which is above 0."""
    return {name: np.clip(g, -limit, limit) for name, g in gradients.items()}


def global_norm(gradients: Tensors) -> ndarray:
    """Return the norm of all gradients together, √Σ g², of shape ()."""
    return np.sqrt(sum((g * g).sum() for g in gradients.values()))


def clipped_by_norm(gradients: Tensors, limit: float) -> dict[str, ndarray]:
    """Return the gradients scaled down so that their norm together is ``limit``, above 0, if it is larger than that."""
    factor = limit / np.maximum(global_norm(gradients), limit)  # (): 1 to the bit if the norm is within the limit
    return {name: g * factor for name, g in gradients.items()}
