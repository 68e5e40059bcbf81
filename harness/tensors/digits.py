"""The digits that numbers have: float64 arrays that hold nothing but float32 numbers were computed in float32."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

FEWEST = 2
"""Minimum count of numbers with many digits that are evidence of a narrower dtype.

The last 29 bits of a float64 number are all zero by chance once in half a billion.
"""

FIRST = 2**10
"""Number of elements that are checked before the rest of an array."""


BFLOAT16 = "bfloat16"
"""The dtype of 8 bits, which NumPy does not have: float32's upper half."""

STORED = {BFLOAT16: 7}
"""Digits that are stored, of the dtypes that NumPy does not have."""


def computed_in(dtype: DTypeLike, arrays: Collection[ndarray]) -> bool:
    """Return whether all numbers of some float arrays fit a narrower dtype, and enough of them are not simple.

    Simple numbers, such as 0, ½ and 3, take at most half of the dtype's digits and are exact in any dtype.
    """
    return fit_in(dtype, arrays) and sum(_not_simple(dtype, array) for array in arrays) >= FEWEST


def fit_in(dtype: DTypeLike, arrays: Iterable[ndarray]) -> bool:
    """Return whether all numbers of some float arrays fit a narrower dtype."""
    return all(_fits(dtype, array.reshape(-1)[:FIRST]) and _fits(dtype, array) for array in arrays)


def _fits(dtype: DTypeLike, array: ndarray) -> bool:
    numbers = array[np.isfinite(array)]
    with np.errstate(over="ignore", under="ignore"):
        if dtype == BFLOAT16:
            narrow = numbers.astype(np.float32)
            return bool((narrow == numbers).all() and (narrow.view(np.uint32) & 0xFFFF == 0).all())
        return bool((numbers.astype(dtype) == numbers).all())


def _not_simple(dtype: DTypeLike, array: ndarray) -> int:
    """Return how many numbers take more than half of the digits of a dtype."""
    stored = STORED.get(str(dtype)) or int(np.finfo(dtype).nmant)
    half = (stored + 1) // 2
    scaled = np.ldexp(np.frexp(array[np.isfinite(array)].astype(np.float64))[0], half)
    return int((scaled != np.rint(scaled)).sum())
