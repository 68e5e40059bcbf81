"""Numbers that are nearly right: computed with fewer digits, or too little wrong to show why."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from numpy import ndarray

from harness.tensors import digits

ROUNDINGS = {"float64": 32 * 2.0**-52, "float32": 32 * 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-5}
"""The largest sum of roundings by dtype, relative to a tensor's largest element."""

NARROWER = {"float64": ("float32", "float16", "bfloat16"), "float32": ("float16", "bfloat16")}
"""For each dtype of a case the narrower ones, the widest first."""

EPS = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def digits_of(tensors: Mapping[str, ndarray], dtype: str) -> str:
    """Return the narrowest dtype that holds every number of the outputs and gradients, if one is narrower than the
    case's; otherwise nothing. The loss, which is one number and often summed in another dtype, does not count.
    """
    arrays = [each for name, each in tensors.items() if name != "loss"]
    for narrow in reversed(NARROWER[dtype]):
        if arrays and digits.computed_in(narrow, arrays):
            return narrow
    return ""


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
            return computed_in(narrow, worst)
    return ""


def computed_in(narrow: str, worst: float) -> str:
    """Return the sentence that numbers were computed in a narrower dtype."""
    return (
        f"The numbers agree with the right ones to {worst:.1e} of each tensor's largest element, and none has "
        f"more digits than {narrow} holds: they were computed in {narrow}, or rounded to it."
    )
