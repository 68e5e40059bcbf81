"""How many digits numbers have: float64 arrays that hold nothing but float32 numbers were computed in float32."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

FEWEST = 2
"""Numbers with many digits, all of them short of the wider dtype's, that are no coincidence: of one float64 number the
last 29 bits are zero by chance once in half a billion.
"""

SIMPLE = 2.0**12
"""Numbers with no more digits than this are as exact in every dtype, as 0, ½ and 3 are, and say nothing."""


def all_in(dtype: DTypeLike, arrays: Iterable[ndarray]) -> bool:
    """Return whether arrays of floats hold nothing but numbers of a narrower dtype, and enough that are not simple."""
    telling = 0
    for array in arrays:
        numbers = array[np.isfinite(array)]
        with np.errstate(over="ignore", under="ignore"):
            narrow = numbers.astype(dtype)
        if (narrow != numbers).any():
            return False
        scaled = np.frexp(numbers.astype(np.float64))[0] * SIMPLE
        telling += int((scaled != np.rint(scaled)).sum())
    return telling >= FEWEST
