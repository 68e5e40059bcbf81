"""Tensors of a wrong shape, and the sum, mean or slice of the right tensor that they contain."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy import ndarray

from harness.diagnosis.evidence import Evidence
from harness.diagnosis.explanation import Diagnosis
from harness.precision.tolerance import largest_magnitude
from harness.tensors import kind_of

CLOSE = 64.0
"""Maximum difference of sums in another order, in units of eps times the largest element."""

AXES = {
    "h0": ("the batch", "the units"),
    "c0": ("the batch", "the units"),
    "inputs": ("the batch", "the steps", "the inputs"),
    "outputs": ("the batch", "the steps", "the outputs"),
}
"""Names of the axes of tensors that have a batch axis; other axes have numbers."""

ONE_OF = {"the batch": "sequence", "the steps": "step"}
"""The name of one index along an axis."""

Way = tuple[str, str, ndarray, ndarray]
"""A fault, the words for the tensor, its numbers, and the right numbers for these."""


def misshapen(evidence: Evidence) -> list[Diagnosis]:
    """Return a diagnosis for each tensor that was returned in a wrong shape."""
    return [_diagnosis(name, given, evidence.truth[name]) for name, given in evidence.misshapen.items()]


def _diagnosis(name: str, given: ndarray, right: ndarray) -> Diagnosis:
    shapes = f"it has shape {given.shape}, and should have {right.shape}"
    if not right.any() and not given.any():
        return Diagnosis("wrong-shape", f"{name} is zero, as it should be: {shapes}.", {name: 0.0})
    eps = float(np.finfo(given.dtype).eps) if given.dtype.kind == "f" else 2.0**-52
    for fault, what, numbers, expected in _ways(name, given, right):
        if numbers.shape != expected.shape:
            continue
        with np.errstate(all="ignore"):
            residual = float(np.abs(numbers - expected).max(initial=0.0)) / (largest_magnitude(expected) or 1.0)
        if residual <= CLOSE * eps:
            return Diagnosis(fault, f"{name} {what}: {shapes}.", {name: residual})
    text = f"{name} is no sum, mean, repetition or slice along one axis of the right one, nor its transpose: {shapes}."
    return Diagnosis("wrong-shape", text, {name: math.nan})


def _ways(name: str, given: ndarray, right: ndarray) -> Iterator[Way]:
    """Yield the possible origins of another shape, the likeliest first."""
    if given.size == 0 or given.dtype.kind not in "biuf":
        return
    if right.ndim == 2:
        yield "wrong-shape", "is the right one transposed", given, right.T
    if right.ndim == 3:
        yield "wrong-shape", "is the right one with time first", given, right.swapaxes(0, 1)
    if given.size == right.size:
        yield "wrong-shape", "has the right numbers", given.reshape(right.shape), right
    yield from _repeated(name, given, right)
    for axis in range(given.ndim):
        if (given == given.take([0], axis)).all():  # a sum of equal numbers was hardly intended
            continue
        yield "not-summed", f"is not summed over axis {axis}, and its sum is the right one", given.sum(axis), right
        yield "not-summed", f"is no mean over axis {axis}, and its mean is the right one", given.mean(axis), right
    yield from _reduced(name, given, right)
    yield from _sliced(name, given, right)


def _repeated(name: str, given: ndarray, right: ndarray) -> Iterator[Way]:
    """Yield the repetitions of the right tensor: along new axes, or along one of its own."""
    more = given.ndim - right.ndim
    if more > 1 and given.shape[more:] == right.shape:
        along = f"{more} new axes in front" if right.ndim else f"{more} new axes"
        yield "wrong-shape", f"is the right one repeated along {along}", given, np.broadcast_to(right, given.shape)
    for axis in range(given.ndim):
        if more == 1 and given.shape[:axis] + given.shape[axis + 1 :] == right.shape:
            text = f"is the right one repeated {given.shape[axis]} times along a new axis, axis {axis}"
            yield "wrong-shape", text, given, np.broadcast_to(np.expand_dims(right, axis), given.shape)
        if more == 0 and right.shape[axis] and given.shape[axis] % right.shape[axis] == 0:
            times = given.shape[axis] // right.shape[axis]
            along = f"repeated {times} times along {_axis(name, axis)}"
            yield "wrong-shape", f"is the right one {along}, as a whole", given, np.concatenate([right] * times, axis)
            text = f"is the right one {along}, index by index"
            yield "wrong-shape", text, given, np.repeat(right, times, axis)


def _reduced(name: str, given: ndarray, right: ndarray) -> Iterator[Way]:
    """Yield the sums and means of the right tensor over some of its axes."""
    for count in range(1, right.ndim + 1):
        for axes in combinations(range(right.ndim), count):
            along = " and ".join(_axis(name, axis) for axis in axes)
            learned = ", the gradient of one learned initial state for all sequences" if _is_batch(name, axes) else ""
            for keepdims in (False, True):
                summed = right.sum(axes, keepdims=keepdims)
                yield "wrong-shape", f"is the sum of the right one over {along}{learned}", given, summed
                mean = right.mean(axes, keepdims=keepdims)
                yield "wrong-shape", f"is the mean of the right one over {along}", given, mean


def _sliced(name: str, given: ndarray, right: ndarray) -> Iterator[Way]:
    """Yield the slices of the right tensor along one axis: one index, or as many as were returned."""
    for axis in range(right.ndim):
        one = ONE_OF.get(_axis(name, axis), f"index {{}} along {_axis(name, axis)}")
        for k in range(right.shape[axis]):
            which = one.format(k) if "{}" in one else f"{one} {k}"
            yield "wrong-shape", f"is {which} of the right one alone (counted from 0)", given, right.take(k, axis)
        if given.ndim == right.ndim and given.shape[axis] < right.shape[axis]:
            width = given.shape[axis]
            for first in range(right.shape[axis] - width + 1):
                which = f"the part from {first} to {first + width - 1} along {_axis(name, axis)}"
                part = right.take(range(first, first + width), axis)
                yield "wrong-shape", f"is {which} of the right one alone (counted from 0)", given, part


def _axis(name: str, axis: int) -> str:
    names = AXES.get(kind_of(name), ())
    return names[axis] if axis < len(names) else f"axis {axis}"


def _is_batch(name: str, axes: tuple[int, ...]) -> bool:
    return kind_of(name) in ("h0", "c0") and axes == (0,)
