"""Remarks on whether the numbers come back in the dtype in which they went in, and with as many digits.

Numbers that were computed in float32 are right to float32, whatever dtype they are returned in. In a float64 array they
are known by their digits; a wrong number among them stays one, if it is off by more than roundings in float32 are.
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
    """Name the tensors that came back in another dtype than the problem's, and say in which they are judged."""
    others: dict[str, list[str]] = {}
    for name, array in returned.items():
        if array.dtype != np.dtype(dtype):
            others.setdefault(array.dtype.name, []).append(name)
    for other, names in others.items():
        judged = ""
        if np.dtype(other).kind == "f":
            judged = f", and judged as {min(other, dtype, key=lambda each: np.finfo(each).nmant)}"
        yield Remark(f"dtype {dtype} {other}", f"{dtype} went in, {other} came out{judged}: {', '.join(names)}")


def of_float32(returned: Mapping[str, ndarray | Partial], given: Problem) -> dict[str, ndarray]:
    """Return the float64 arrays whose numbers were computed in float32, by name, as float32; nothing if it was not so.

    The loss is one of them where all else is float32: it is no more exact than the outputs that it is made of.

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
    """Say that numbers were computed in float32, and are judged so: those that ``of_float32`` returns."""
    names = [name for name in narrow if name != "loss"]
    if names:
        text = "float64 went in, numbers with no more digits than float32 has came out, and judged as float32"
        yield Remark("digits of float32", f"{text}: {', '.join(names)}")
    if "loss" in narrow:
        text = "the loss is judged as float32, as all else is: it is no more exact than the outputs that it is made of"
        yield Remark("loss of float32", text)
