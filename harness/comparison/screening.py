"""Screening: skip the elements that cannot change the largest errors of two arrays, in a few passes in the cache.

Most elements of a tensor that matches are neither its worst nor near it. An element is passed over if, d being
|actual − expected| and q = d / |expected|, it is within its bound and none of these can grow by it:

    the absolute error      d is at most the largest so far
    the error's ratio       d / atol is at most the largest so far; the whole bound is no less than atol
    the relative error      q is less than the largest so far
    the distance in ulp     q is less than (m + 1)·½eps, m being the largest so far: each of two neighbours is further
                            from the other than ½eps of itself

All that in the tensor's own dtype. None is passed over unless q ≤ ½, and then d is exact there (Sterbenz 1974,
Floating-Point Computation, 4.3.1), so that elements just as bad as the worst are passed over, too. Of q, which is
rounded, a little less than the largest is asked. Where the smallest |expected| of a chunk alone keeps q that small, as
almost everywhere, nothing is divided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
"""Others are not screened: whole numbers are not rounded, and other floats are rare."""

A_LITTLE_LESS = 1 - 2.0**-20
"""A factor; the quotient of two float32 is rounded by 2⁻²⁴ of itself at most."""


@dataclass(frozen=True)
class Limits:
    """The errors up to which an element changes nothing; in float64, because NumPy rounds Python numbers to float32.

    Attributes:
        difference: |actual − expected|, at most; nothing is passed over if it is below 0.
        relative: |actual − expected| / |expected|, at most.
    """

    difference: np.float64
    relative: np.float64

    @classmethod
    def beyond_which(
        cls, abs_error: float, rel_error: float, ulp_error: float, ratio: float, atol: float, dtype: np.dtype[Any]
    ) -> Limits:
        """Return the limits beyond which an element can change one of the largest errors, or be out of its bound.

        Args:
            abs_error: the largest absolute error so far. What is NaN here stays, and no element can change it.
            rel_error: relative to the expected value.
            ulp_error: in units in the last place.
            ratio: of the absolute error to the bound.
            atol: the least absolute part of any element's bound.
            dtype: of both arrays, one of ``DTYPES``.
        """
        abs_error, rel_error, ulp_error, ratio = (
            math.inf if np.isnan(each) else float(each) for each in (abs_error, rel_error, ulp_error, ratio)
        )
        if not atol > 0:
            return NOTHING_PASSES
        # The worst ratio is that of the largest difference, unless bounds differ.
        of_ratio = abs_error if abs_error / atol <= ratio else ratio * atol * A_LITTLE_LESS
        info = np.finfo(dtype)
        of_ulp = (ulp_error + 1) * float(info.eps) / 2
        relative = A_LITTLE_LESS * min(rel_error, of_ulp, 0.5)
        return cls(np.float64(min(of_ratio, atol, float(info.max))), np.float64(relative))


NOTHING_PASSES = Limits(np.float64(-1), np.float64(-1))


class Screen:
    """Passes over elements of two arrays, chunk by chunk; over none until it has limits.

    Args:
        dtype: of both arrays, one of ``DTYPES``.
        atol: the least absolute part of any element's bound.
        most: how many elements a chunk has at most.
    """

    def __init__(self, dtype: np.dtype[Any], atol: float, most: int) -> None:
        self._dtype, self._atol = dtype, atol
        self._scratch = np.empty((2, most), dtype)
        self._limits = NOTHING_PASSES

    def limit(self, abs_error: float, rel_error: float, ulp_error: float, ratio: float) -> None:
        """From now on pass over elements that are no worse than these, the worst so far."""
        self._limits = Limits.beyond_which(abs_error, rel_error, ulp_error, ratio, self._atol, self._dtype)

    def left(self, actual: ndarray, expected: ndarray) -> ndarray:
        """Return the places in a chunk of the elements that are not passed over."""
        with np.errstate(all="ignore"):  # NaN and infinity are not skipped
            if self._passes_whole(actual, expected):
                return np.empty(0, np.intp)
            limits = self._limits
            d = np.abs(actual - expected)
            q = d / np.abs(expected)
            return np.flatnonzero(~((d <= limits.difference) & ((q <= limits.relative) | (d == 0))))

    def _passes_whole(self, actual: ndarray, expected: ndarray) -> bool:
        limits, (d, magnitude) = self._limits, self._scratch[:, : len(actual)]
        largest = np.abs(np.subtract(actual, expected, out=d), out=d).max()
        if not largest <= limits.difference:
            return False
        if largest == 0:
            return True
        smallest = np.abs(expected, out=magnitude).min()
        if np.float64(largest) / smallest <= limits.relative:
            return True
        q = np.divide(d, magnitude, out=magnitude)
        return bool(np.fmax.reduce(q) <= limits.relative)  # the largest of what is not NaN: 0 / 0 is no error
