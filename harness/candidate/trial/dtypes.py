"""Remarks on numbers that come back in another dtype than the inputs have, or with fewer digits.

Numbers that were computed in float32 are right to float32, whatever dtype they are returned in. In a float64 array
they are recognised by their digits. A wrong number among them stays wrong, if its error exceeds rounding in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy import ndarray

from harness.case.training import is_of_training
from harness.implementations import Partial
from harness.problem import Problem
from harness.result.remark import Remark
from harness.tensors import digits

NARROW = "float32"


def dtypes_kept(returned: Mapping[str, ndarray], dtype: str) -> Iterator[Remark]:
    """Yield a remark on the tensors in another dtype than the problem's, with the dtype of their comparison."""
    others: dict[str, list[str]] = {}
    for name, array in returned.items():
        if array.dtype != np.dtype(dtype):
            others.setdefault(array.dtype.name, []).append(name)
    for other, names in others.items():
        judged = ""
        if np.dtype(other).kind == "f":
            judged = f", compared as {min(other, dtype, key=lambda each: np.finfo(each).nmant)}"
        text = f"returned as {other} for {dtype} inputs{judged}: {', '.join(names)}"
        yield Remark(f"dtype {dtype} {other}", text)


def of_float32(returned: Mapping[str, ndarray | Partial], given: Problem) -> dict[str, ndarray]:
    """Return the float64 arrays that were computed in float32, by name, as float32.

    The loss is one of them if all else is float32: it is no more exact than the outputs.

    Args:
        returned: everything that was returned.
        given: the problem that it is the answer to.
    """
    if given.case.dtype != "float64":
        return {}
    floats = {name: a for name, a in returned.items() if isinstance(a, ndarray) and a.dtype.kind == "f"}
    wide = {name: a for name, a in floats.items() if a.dtype == np.float64 and not is_of_training(name)}
    numbers = [a for name, a in floats.items() if name != "loss" and not is_of_training(name)]
    if not wide or not digits.computed_in(NARROW, numbers):
        return {}
    if digits.fit_in(NARROW, (a for a in given.spelled.values() if a.dtype.kind == "f")):
        return {}  # right numbers in float64 may have as few digits
    with np.errstate(over="ignore", under="ignore"):
        return {name: a.astype(NARROW) for name, a in wide.items()}


def digits_kept(narrow: Mapping[str, ndarray]) -> Iterator[Remark]:
    """Yield remarks on numbers that were computed in float32: those that ``of_float32`` returns."""
    names = [name for name in narrow if name != "loss"]
    if names:
        text = "returned with float32 digits for float64 inputs, compared as float32"
        yield Remark("digits of float32", f"{text}: {', '.join(names)}")
    if "loss" in narrow:
        text = "the loss is compared as float32, like all else: it is no more exact than the outputs"
        yield Remark("loss of float32", text)
