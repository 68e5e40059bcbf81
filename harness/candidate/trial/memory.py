"""Whether returned arrays are the implementation's to keep writing to, each other's, or its inputs'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy import ndarray

from harness.problem import Problem
from harness.result.remark import Remark
from harness.result.returned import NotReadable, array_of

MOST_SAID = 10
"""Arrays or pairs of them that a remark names."""

MOST_WORK = 100_000
"""How long to think about whether two views overlap, in steps of NumPy's search."""


def shared(returned: Mapping[str, Any], given: Problem) -> Iterator[Remark]:
    """Say which returned arrays lie in the same memory as another, or as an input."""
    arrays = {name: value for name, value in returned.items() if isinstance(value, ndarray)}
    pairs = [
        relation(one, arrays[one], other, arrays[other])
        for one, other in combinations(arrays, 2)
        if _overlap(arrays[one], arrays[other]) and not (one.startswith("bias_ih") and other.startswith("bias_hh"))
    ]  # torch's two biases do have one gradient
    if pairs:
        yield Remark("shared memory", f"returns arrays that share memory: {_first(pairs)}")
    inputs = [
        f"{name} is {of_problem} or a view of it"
        for name, array in arrays.items()
        for of_problem, its in given.spelled.items()
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


def relation(one: str, first: ndarray, other: str, second: ndarray) -> str:
    """Say what two arrays that overlap are of each other."""
    if first.size < second.size:
        one, first, other, second = other, second, one, first
    if _same(first, second):
        return f"{one} and {other} are one array under two names"
    if _same(first.T, second):
        return f"{other} is {one}.T"
    for axis, (length, stride) in enumerate(zip(first.shape, first.strides, strict=True)):
        before, offset = ":, " * axis, _address(second) - _address(first)
        k = offset // stride if stride > 0 else 0
        if 0 <= k < length and _same(_at(first, axis, k), second):
            return f"{other} is {one}[{before}{k}]"
        if second.ndim == first.ndim:
            end = k + second.shape[axis]
            if k >= 0 and end <= length and _same(_at(first, axis, slice(k, end)), second):
                return f"{other} is {one}[{before}{k}:{end}]"
    if _same(first.reshape(-1), second.reshape(-1)):
        return f"{other} is {one}, reshaped"
    return f"{one} and {other} overlap"


def _at(array: ndarray, axis: int, index: int | slice) -> ndarray:
    view: ndarray = array[(slice(None),) * axis + (index,)]
    return view


def _address(array: ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _same(one: ndarray, other: ndarray) -> bool:
    """Return whether two arrays are the same elements of memory, in the same order and of one shape."""
    if one.shape != other.shape or one.dtype != other.dtype or _address(one) != _address(other):
        return False
    return all(own == its for n, own, its in zip(one.shape, one.strides, other.strides, strict=True) if n > 1)


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
