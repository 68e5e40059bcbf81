"""Whether returned arrays are the implementation's to keep writing to, each other's, or its inputs'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy import ndarray

from harness.candidate.trial.inputs import arrays_of_problem
from harness.candidate.trial.remark import Remark
from harness.problem import Problem
from harness.result.returned import NotReadable, array_of

MOST_SAID = 10
"""Arrays or pairs of them that a remark names."""

MOST_WORK = 100_000
"""How long to think about whether two views overlap, in steps of NumPy's search."""


def shared(returned: Mapping[str, Any], given: Problem) -> Iterator[Remark]:
    """Say which returned arrays lie in the same memory as another, or as an input."""
    arrays = {name: value for name, value in returned.items() if isinstance(value, ndarray)}
    pairs = [
        f"{one} and {other}"
        for one, other in combinations(arrays, 2)
        if _overlap(arrays[one], arrays[other]) and not (one.startswith("bias_ih") and other.startswith("bias_hh"))
    ]  # torch's two biases do have one gradient
    if pairs:
        yield Remark("shared memory", f"returns one array under two names: {_first(pairs)}")
    inputs = [
        f"{name} is {of_problem} or a view of it"
        for name, array in arrays.items()
        for of_problem, its in arrays_of_problem(given).items()
        if isinstance(its, ndarray) and _overlap(array, its)
    ]
    if inputs:
        yield Remark("returns an input", f"returns what it was given: {_first(inputs)}")


def changed_later(returned: Mapping[str, Any], copies: Mapping[str, ndarray]) -> Iterator[Remark]:
    """Name the tensors that are no longer what they were when they were returned.

    Args:
        returned: what the first call returned, as it is after the second.
        copies: copies that were made when the first call returned.
    """
    names = [name for name, value in returned.items() if not _still(name, value, copies[name])]
    if names:
        yield Remark(
            "changed later",
            f"the second call wrote to what the first had returned: {', '.join(names)}; compared as it returned them, "
            "but whoever keeps them should be given copies",
        )


def _first(said: Sequence[str]) -> str:
    more = f"; and {len(said) - MOST_SAID} more" if len(said) > MOST_SAID else ""
    return "; ".join(said[:MOST_SAID]) + more


def _still(name: str, value: Any, copy: ndarray) -> bool:
    try:
        now = array_of(name, value, copy.dtype)
    except NotReadable:
        return False
    return now.shape == copy.shape and now.tobytes() == copy.tobytes()


def _overlap(one: ndarray, other: ndarray) -> bool:
    try:
        return bool(np.shares_memory(one, other, max_work=MOST_WORK))  # type: ignore[arg-type]  # any limit will do
    except np.exceptions.TooHardError:
        return False
