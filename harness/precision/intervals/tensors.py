"""Conversions between arrays of floats and flat lists, matrices and arrays of intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from flint import arb, arb_mat
from numpy import ndarray

from harness.tensors import Shape


def time_first(tensor: ndarray) -> ndarray:
    """Return a tensor (B, T, …) as (T, B, …)."""
    return tensor.swapaxes(0, 1)


def to_balls(array: ndarray) -> list[arb]:
    """Return an array's floats as exact intervals, in C order."""
    return [arb(number) for number in array.reshape(-1).tolist()]


def to_matrix(array: ndarray) -> arb_mat:
    """Return a matrix of floats as a matrix of exact intervals."""
    return arb_mat(*array.shape, to_balls(array))


def in_shape(balls: Sequence[arb], shape: Shape) -> ndarray:
    """Return intervals as an array of objects of a shape."""
    array = np.empty(len(balls), dtype=object)
    array[:] = balls
    return array.reshape(shape)


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
