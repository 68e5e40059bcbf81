"""The digits that numbers have: float64 arrays that hold nothing but float32 numbers were computed in float32."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

FEWEST = 2
"""Numbers with many digits, all of them short of the wider dtype's, that are no coincidence: of one float64 number the
last 29 bits are zero by chance once in half a billion.
"""

FIRST = 2**10
"""Numbers of an array that are looked at before the others."""


def computed_in(dtype: DTypeLike, arrays: Collection[ndarray]) -> bool:
    """Return whether arrays of floats hold nothing but numbers of a narrower dtype, and enough that are not simple.

    Simple are 0, ½, 3 and the like, which take no more than half of the dtype's digits and are exact in any.
    """
    return fit_in(dtype, arrays) and sum(_not_simple(dtype, array) for array in arrays) >= FEWEST


def fit_in(dtype: DTypeLike, arrays: Iterable[ndarray]) -> bool:
    """Return whether arrays of floats hold nothing but numbers of a narrower dtype."""
    return all(_fits(dtype, array.reshape(-1)[:FIRST]) and _fits(dtype, array) for array in arrays)


def _fits(dtype: DTypeLike, array: ndarray) -> bool:
    numbers = array[np.isfinite(array)]
    with np.errstate(over="ignore", under="ignore"):
        return bool((numbers.astype(dtype) == numbers).all())


def _not_simple(dtype: DTypeLike, array: ndarray) -> int:
    """Return how many numbers take more than half of the digits of a dtype."""
    half = (np.finfo(dtype).nmant + 1) // 2
    scaled = np.ldexp(np.frexp(array[np.isfinite(array)].astype(np.float64))[0], half)
    return int((scaled != np.rint(scaled)).sum())
