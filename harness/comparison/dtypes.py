"""Two float dtypes for one tensor: the dtype of the comparison, and its effect on the tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

FloatDType = np.dtype[Any]


def narrower(one: FloatDType, other: FloatDType) -> FloatDType:
    """Return the dtype with fewer digits; the first of two that have as many."""
    return other if np.finfo(other).nmant < np.finfo(one).nmant else one


def in_the_narrower(actual: ndarray, expected: ndarray) -> tuple[ndarray, ndarray]:
    """Round two tensors to the narrower of their dtypes."""
    dtype = narrower(actual.dtype, expected.dtype)
    with np.errstate(over="ignore"):  # the comparison judges overflows
        return actual.astype(dtype, copy=False), expected.astype(dtype, copy=False)


def noise_in(dtype: FloatDType, noise: float | ndarray | None, measured_in: FloatDType) -> float | ndarray | None:
    """Scale rounding noise that was measured in one dtype to another: to first order it grows with eps."""
    if noise is None:
        return None
    return noise * float(np.finfo(dtype).eps) / float(np.finfo(measured_in).eps)


def judged_in(actual: FloatDType, expected: FloatDType) -> str:
    """Return a remark on the dtype in which a tensor is compared, if the two differ."""
    if actual == expected:
        return ""
    return f"returned as {actual} for {expected} inputs, compared as {narrower(actual, expected)}"
