"""Between arrays of floats, flat lists of balls, matrices of balls and arrays of balls."""

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
    """Return an array's floats as exact balls, in C order."""
    return [arb(number) for number in array.reshape(-1).tolist()]


def to_matrix(array: ndarray) -> arb_mat:
    """Return a matrix of floats as a matrix of exact balls."""
    return arb_mat(*array.shape, to_balls(array))


def in_shape(balls: Sequence[arb], shape: Shape) -> ndarray:
    """Return balls as an array of objects of the shape wanted."""
    array = np.empty(len(balls), dtype=object)
    array[:] = balls
    return array.reshape(shape)


def rounded(tensor: ndarray, dtype: str) -> ndarray:
    """Return an array of balls as floats: each midpoint to the nearest float64, that to the nearest of ``dtype``."""
    nearest = np.array([float(ball) for ball in tensor.reshape(-1)], np.float64)
    with np.errstate(over="ignore"):  # what no float32 can hold is infinite, as in the case's own arithmetic
        return nearest.reshape(tensor.shape).astype(dtype)


def distance(tensor: ndarray, balls: ndarray) -> ndarray:
    """Return |tensor − balls| of each element, an upper bound but for the last bit, in float64.

    Infinite where the tensor is not finite.
    """
    found = np.full(tensor.size, np.inf)
    for position, (number, ball) in enumerate(zip(tensor.reshape(-1).tolist(), balls.reshape(-1), strict=True)):
        if np.isfinite(number):
            found[position] = float((arb(number) - ball).abs_upper())
    return found.reshape(tensor.shape)
