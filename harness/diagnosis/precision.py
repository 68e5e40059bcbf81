"""Numbers that are nearly right: computed with fewer digits, or too little wrong to show why."""

from __future__ import annotations

from collections.abc import Collection

from numpy import ndarray

from harness.tensors import digits

ROUNDINGS = {"float64": 32 * 2.0**-52, "float32": 32 * 2.0**-23, "float16": 2.0**-10}
"""The largest sum of roundings by dtype, relative to a tensor's largest element."""

NARROWER = {"float64": ("float32", "float16"), "float32": ("float16",)}
"""For each dtype of a case the narrower ones, the widest first."""


def lower_precision(numbers: Collection[ndarray], worst: float, dtype: str) -> str:
    """Return a sentence with the dtype in which numbers were computed, if they show it; otherwise nothing.

    Args:
        numbers: the wrong tensors.
        worst: their largest error, relative to each tensor's largest element.
        dtype: the dtype of the case.
    """
    if worst <= ROUNDINGS[dtype]:
        return f"The numbers are right to {worst:.1e} of the largest element: rounding, and a little more."
    for narrow in NARROWER[dtype]:
        if worst <= ROUNDINGS[narrow] and digits.computed_in(narrow, numbers):
            return (
                f"The numbers agree with the right ones to {worst:.1e} of each tensor's largest element, and none has "
                f"more digits than {narrow} holds: they were computed in {narrow}, or rounded to it."
            )
    return ""


def nearly_right(worst: float, dtype: str) -> str:
    """Return a clause with the error of numbers that are as near as those of a narrower dtype; otherwise nothing."""
    if worst > ROUNDINGS[NARROWER[dtype][0]]:
        return ""
    return (
        f"; everything agrees with the right numbers to {worst:.1e} of each tensor's largest element, as when a small "
        f"constant is added or one step has fewer digits than {dtype}"
    )
