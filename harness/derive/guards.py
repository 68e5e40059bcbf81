"""Checks of a step that need no reference: what it says is the same however it is asked.

Every route but one follows a recording. These guards call the step itself: on plain numbers a little apart, and on
complex ones, along one random direction; twice on the same numbers; on a sequence in two halves; on each sequence of
the batch alone; on arrays that lie otherwise in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from harness.derive.operations import STEPS
from harness.derive.recording import Sequences, forward


def loss_of(problem: Sequences) -> Any:
    """Return the loss, by the step itself."""
    outputs, last = forward(problem)
    total = sum((output * problem.upstream[:, t]).sum() for t, output in enumerate(outputs))
    return total + sum((last[name] * g).sum() for name, g in problem.upstream_state.items())


def direction(problem: Sequences, seed: int = 0) -> dict[str, ndarray]:
    """Return a random direction, by the names of gradients, each tensor's in proportion to its numbers."""
    random = np.random.Generator(np.random.PCG64(seed))
    found: dict[str, ndarray] = {}

    def draw(name: str, array: ndarray) -> ndarray:
        found[name] = (random.normal(size=array.shape) * (np.abs(array) + 0.1)).astype(array.dtype)
        return array

    problem.mapped(draw)
    return found


def derivative_by_difference(problem: Sequences, along: Mapping[str, ndarray], h: float = 6e-6) -> tuple[float, float]:
    """Return the central difference of the loss along a direction, in float64, and how far it may be off.

    Richardson's extrapolation of two of them; the difference between the two says how far.
    """
    wide = problem.mapped(lambda _, array: array.astype(np.float64))

    def loss_at(size: float) -> float:
        return float(loss_of(wide.mapped(lambda name, array: array + size * along[name].astype(np.float64))))

    def slope(size: float) -> float:
        return (loss_at(size) - loss_at(-size)) / (2 * size)

    coarse, fine = slope(2 * h), slope(h)
    return (4 * fine - coarse) / 3, abs(fine - coarse)


def derivative_by_complex_step(problem: Sequences, along: Mapping[str, ndarray]) -> float:
    """Return the derivative of the loss along a direction, by the step itself on complex numbers."""
    h = STEPS[np.dtype(np.float64)]
    moved = problem.mapped(lambda name, array: array.astype(np.float64) + 1j * h * along[name])
    return float(np.imag(loss_of(moved)) / h)
