"""Arrays of intervals as floats, and their distance from arrays of floats."""

from __future__ import annotations

import numpy as np
from flint import arb
from numpy import ndarray


def rounded(tensor: ndarray, dtype: str) -> ndarray:
    """Return an array of intervals as floats: each midpoint rounded to float64, then to ``dtype``."""
    nearest = np.array([float(ball) for ball in tensor.reshape(-1)], np.float64)
    with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite, as in the case's own arithmetic
        return nearest.reshape(tensor.shape).astype(dtype)


def distance(tensor: ndarray, balls: ndarray) -> ndarray:
    """Return |tensor − interval| of each element in float64: an upper bound, except for the last bit.

    It is infinite where the tensor is not finite.
    """
    found = np.full(tensor.size, np.inf)
    for position, (number, ball) in enumerate(zip(tensor.reshape(-1).tolist(), balls.reshape(-1), strict=True)):
        if np.isfinite(number):
            found[position] = float((arb(number) - ball).abs_upper())
    return found.reshape(tensor.shape)
