"""Whether the second call gives the answer of the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy import ndarray

from harness.result import Result
from harness.result.remark import Remark

KIND = "another answer"

ASKED = "is state kept from the first call, or a random number drawn?"
"""A question for answers that do not say by themselves why they differ."""


def differences(first: Result, second: Result) -> Iterator[Remark]:
    """Say in which tensors two answers to the same problem differ: where first, by how much, and what it looks like."""
    one, other = _known(first), _known(second)
    said = [
        f"{name} is in only one of the two answers" for name in {**one, **other} if (name in one) != (name in other)
    ]
    said += [_difference(name, one[name], other[name]) for name in one if name in other]
    said = [each for each in said if each]
    if said:
        more = f"; and in {len(said) - 1} more tensors" if len(said) > 1 else ""
        kept = _kept(first, second)
        yield Remark(KIND, f"called twice, it gives two answers: {said[0]}{more}; {kept or ASKED}")


def since_first_is_right(remarks: Iterable[Remark]) -> Iterator[Remark]:
    """Return remarks with the answer to what one of them asks, where the first of two answers is right."""
    for each in remarks:
        text = each.text.replace(ASKED, "the first is right, so state is kept from the first call")
        yield replace(each, text=text) if each.kind == KIND else each


def _known(result: Result) -> dict[str, ndarray]:
    """Return the tensors of a result, with zeros where nothing is known: what stands there means nothing."""
    return {
        name: np.where(result.known[name], array, np.zeros_like(array)) if name in result.known else array
        for name, array in result.tensors.items()
    }


def _difference(name: str, one: ndarray, other: ndarray) -> str:
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{name} is {one.dtype} of shape {one.shape}, then {other.dtype} of shape {other.shape}"
    differs = ~_same(one, other)
    if not differs.any():
        return ""
    index = tuple(int(i) for i in np.argwhere(differs)[0])
    with np.errstate(all="ignore"):  # infinities that differ are told by their values
        by = np.abs(one[differs].astype(np.float64) - other[differs].astype(np.float64)).max()
    where = f"{name}[{', '.join(map(str, index))}]" if index else name
    extent = f"off by up to {by:.3g} in {differs.sum()} of {one.size} elements"
    return f"{where} is {one[index]}, then {other[index]} ({extent})"


def _same(one: ndarray, other: ndarray) -> ndarray:
    return (one == other) | ((one != one) & (other != other))


def _kept(first: Result, second: Result) -> str:
    """Recognise gradients that were added to those of the first call."""
    pairs = [(first.gradients[name], second.gradients[name]) for name in first.gradients if name in second.gradients]
    changed = [(one, other) for one, other in pairs if one.shape == other.shape and not _same(one, other).all()]
    with np.errstate(all="ignore"):
        if changed and all(np.allclose(other, 2 * one, rtol=1e-5, atol=0) for one, other in changed):
            return "the second is twice the first: gradients are added up and not set to zero"
    return ""
