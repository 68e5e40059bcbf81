"""The numbers in question: the results that an implementation returned, and their precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from harness.precision.tolerance import OTHER_UNITS, bound, largest_magnitude
from harness.tensors import Shape

SLACK = 16.0
"""A faulty recursion may amplify roundings more than the right one; a wrong explanation has a far larger error."""

SLACK_OF_FEW_DIGITS = 2.0
"""The same for numbers of few digits, of which a wrong explanation is not so far."""

FEW_DIGITS = 1e-4
"""The eps from which on numbers have few digits."""

BITS_OF_A_NUMBER = 8.0
"""The least cost of a fitted number."""


@dataclass(frozen=True)
class Fit:
    """The agreement of a prediction with the numbers of one tensor.

    Attributes:
        residual: the largest |actual − predicted|, relative to the largest element of the actual, predicted or right
            tensor.
        agrees: whether rounding explains the residual.
    """

    residual: float
    agrees: bool


class _Held(NamedTuple):
    """The known elements of one tensor, flat unless all are known, their places, and two largest elements."""

    actual: ndarray
    known: ndarray | None
    allowed: Any
    most_allowed: float
    largest_actual: float
    largest_truth: float


@dataclass(frozen=True, eq=False)
class InPart:
    """The known part of tensors that were returned or printed in part.

    Attributes:
        known: by name, which elements are known; all if a name is missing.
        digits: by name, the error of each element because of the digits that were printed, absolute; none if a name is
            missing.
        eps: of the digits that the numbers have, if that is larger than their dtype's.
    """

    known: Mapping[str, ndarray] = field(default_factory=dict)
    digits: Mapping[str, ndarray] = field(default_factory=dict)
    eps: float = 0.0


WHOLE = InPart()
"""All elements are known, and all of their digits."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """The known numbers of an implementation's tensors.

    Attributes:
        actual: by name, in float64 and of the tensor's own shape.
        known: by name, which elements are known; all if a name is missing.
        misshapen: the tensors that were returned in another shape.
        truth: the right tensors, in float64.
        allowed: by name, the error that an element of the right tensor may have: a number, or an array if printed
            digits or the case set one for each element.
        tolerated: by name, the error beyond which an element counts as wrong, if the case allows more than rounding: an
            array. A prediction may have that error, not ``SLACK`` times that.
        dtypes: by name, the dtype that the numbers are rounded to.
        off: the tensors that disagree with the truth, in the order of the computation.
        eps: of the digits that the numbers have, if that is larger than their dtype's.
    """

    actual: Mapping[str, ndarray]
    known: Mapping[str, ndarray]
    misshapen: Mapping[str, ndarray]
    truth: Mapping[str, ndarray]
    allowed: Mapping[str, float | ndarray]
    dtypes: Mapping[str, np.dtype[Any]]
    tolerated: Mapping[str, ndarray] = field(default_factory=dict)
    off: tuple[str, ...] = field(default=())
    eps: float = 0.0
    _each_held: dict[str, _Held] = field(default_factory=dict, init=False, repr=False)

    @property
    def slack(self) -> float:
        """Units of allowed error that a prediction may be off."""
        return SLACK_OF_FEW_DIGITS if self.eps > FEW_DIGITS else SLACK

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors that can be compared."""
        return tuple(self.actual)

    def of_columns(self, columns: Mapping[str, ndarray]) -> Evidence:
        """Return the evidence of some elements alone: by tensor, which ones."""
        known = {name: where & self.known.get(name, np.ones_like(where)) for name, where in columns.items()}
        actual = {name: self.actual[name] for name in known}
        return replace(self, actual=actual, known=known, off=tuple(name for name in self.off if name in known))

    def fit(self, name: str, predicted: ndarray) -> Fit:
        """Compare a prediction of one tensor with the numbers."""
        held = self._held(name)
        if held.known is not None:
            predicted = predicted[held.known]
        return self._compared(name, predicted, *_distance(held.actual, predicted))

    def residual_if_agrees(self, name: str, predicted: ndarray) -> float | None:
        """Return the residual of a prediction of one tensor, None if it disagrees: a faster ``fit``."""
        held = self._held(name)
        if held.known is not None:
            predicted = predicted[held.known]
        difference, furthest = _distance(held.actual, predicted)
        # No element is larger than the right value plus the error; a hair more, since this, too, is rounded.
        if furthest > 1.001 * self._limit(name, held.most_allowed, held.largest_actual + furthest):
            return None
        fit = self._compared(name, predicted, difference, furthest)
        return fit.residual if fit.agrees else None

    def _compared(self, name: str, predicted: ndarray, difference: ndarray, furthest: float) -> Fit:
        held = self._held(name)
        largest = largest_magnitude(predicted)
        with np.errstate(all="ignore"):
            limits = self._limit(name, held.allowed, largest)
            agrees = bool((difference <= limits).all()) if isinstance(limits, ndarray) else furthest <= limits
            residual = furthest / (max(largest, held.largest_truth, held.largest_actual) or 1.0)
        return Fit(residual if not math.isnan(residual) else math.inf, bool(agrees))

    def _limit(self, name: str, allowed: Any, largest: float) -> Any:
        """Return the allowed error of a prediction with this largest element: a number, or as ``allowed``."""
        largest_truth = self._held(name).largest_truth
        if largest_truth:
            return self.slack * (max(1.0, largest / largest_truth) * allowed)
        own = self._of_size(name, largest)
        return self.slack * (np.maximum(allowed, own) if isinstance(allowed, ndarray) else max(allowed, own))

    def _held(self, name: str) -> _Held:
        """Return the data that all predictions of a tensor are compared with, computed once."""
        if name not in self._each_held:
            actual, known = self.actual[name], self.known.get(name)
            allowed: Any = self.allowed[name]
            if known is not None:
                actual, allowed = actual[known], allowed[known] if isinstance(allowed, np.ndarray) else allowed
            largest_truth = largest_magnitude(self.truth[name])
            most = float(np.max(allowed, initial=0.0))
            self._each_held[name] = _Held(actual, known, allowed, most, largest_magnitude(actual), largest_truth)
        return self._each_held[name]

    def wrong(self, name: str) -> ndarray:
        """Return which elements of a tensor are known and wrong, in its shape."""
        actual, expected = self.actual[name], self.truth[name]
        with np.errstate(all="ignore"):
            close = np.abs(actual - expected) <= np.maximum(self.allowed[name], self.tolerated.get(name, 0.0))
        right: ndarray = close | (actual == expected) | (np.isnan(actual) & np.isnan(expected))
        return ~right if name not in self.known else ~right & self.known[name]

    def _of_size(self, name: str, largest: float) -> float:
        """Return the allowed error of an element in a tensor of this size. The right one may be zero, and allow
        nothing.
        """
        return OTHER_UNITS * max(float(np.finfo(self.dtypes[name]).eps), self.eps) * largest

    def bits(
        self, residuals: Mapping[str, float], *, fitted: int = 0, telling: Mapping[str, ndarray] | None = None
    ) -> float:
        """Return the bits of evidence in some tensors for a prediction, beyond the evidence for the right numbers.

        An element gives log₂ n bits if its error is n times the residual of the prediction, or n times the rounding. A
        fitted number costs the bits of the most significant element, and ``BITS_OF_A_NUMBER`` at least, because any
        elements can be fitted with as many numbers.

        Args:
            residuals: by tensor, the residual of the prediction, as in ``Fit``.
            fitted: how many numbers were fitted to them.
            telling: by tensor, which elements say more than their sign; all unless given.
        """
        found = [self._bits_of(name, left, (telling or {}).get(name)) for name, left in residuals.items()]
        bits = np.sort(np.concatenate(found)) if found else np.zeros(0)
        spent, left = bits[len(bits) - fitted :] if fitted else bits[:0], bits[: max(len(bits) - fitted, 0)]
        cost = np.maximum(BITS_OF_A_NUMBER - spent, 0).sum() + BITS_OF_A_NUMBER * max(fitted - len(bits), 0)
        return float(left.sum() - cost)

    def _bits_of(self, name: str, residual: float, telling: ndarray | None) -> ndarray:
        """Return the bits of each known element of a tensor, flat."""
        held = self._held(name)
        expected = self.truth[name] if held.known is None else self.truth[name][held.known]
        largest = max(held.largest_actual, held.largest_truth)
        # The allowed error is in units of rounding, which are unknown where the right numbers are zero.
        units = OTHER_UNITS if held.largest_truth else 1.0
        with np.errstate(all="ignore"):
            rounding = self._limit(name, held.allowed, held.largest_actual) / (self.slack * units)
            near = np.maximum(rounding, residual * largest)
            ratio = np.abs(held.actual - expected) / near
        ratio = np.where(np.isnan(ratio), 2.0**16, np.clip(ratio, 1.0, 2.0**60))
        bits: ndarray = np.log2(ratio).reshape(-1)
        if telling is None:
            return bits
        own = telling if held.known is None else telling[held.known]
        return np.where(own.reshape(-1), bits, np.minimum(bits, 1.0))


def _distance(actual: ndarray, predicted: ndarray) -> tuple[ndarray, float]:
    """Return |actual − predicted| and the largest of it; the same infinity, or NaN, at the same place is the same."""
    with np.errstate(all="ignore"):
        difference = np.abs(actual - predicted)
        furthest = float(difference.max(initial=0.0))
        if math.isnan(furthest):  # the same infinity at the same place, or NaN at one
            same = (actual == predicted) | (np.isnan(actual) & np.isnan(predicted))
            difference = np.where(same, 0.0, difference)
            furthest = float(difference.max(initial=0.0))
    return difference, furthest


def gather(
    actual: Mapping[str, ndarray],
    truth: Mapping[str, ndarray],
    noise: Mapping[str, float],
    *,
    dtype: str,
    tolerance: Mapping[str, Any] | None = None,
    in_part: InPart = WHOLE,
) -> Evidence:
    """Gather the known numbers of an implementation's tensors.

    Args:
        actual: the returned canonical tensors.
        truth: the right tensors, in float64.
        noise: the change by rounding alone of each tensor, in the dtype of the case.
        dtype: the dtype of the case.
        tolerance: the case's own tolerance; it counts where it allows more than rounding does.
        in_part: the known part of the tensors.
    """
    shapes: dict[str, Shape] = {name: tensor.shape for name, tensor in truth.items()}
    right_shape = {name: array for name, array in actual.items() if shapes.get(name) == array.shape}
    in_order = [name for name in truth if name in right_shape]
    dtypes = {name: _narrower(right_shape[name].dtype, np.dtype(dtype)) for name in in_order}
    allowed: dict[str, float | ndarray] = {}
    tolerated: dict[str, ndarray] = {}
    for name in in_order:
        # ``bound`` takes the dtype from the tensor. A tensor in a narrower one has that one's roundings.
        with np.errstate(over="ignore"):
            expected = truth[name].astype(dtypes[name])
        # As Python's floats: the product with a float32 would underflow in float32.
        coarser = float(np.finfo(expected.dtype).eps) / float(np.finfo(dtype).eps)
        # A number that underflows in the dtype is zero in it.
        underflow = OTHER_UNITS * float(np.finfo(expected.dtype).smallest_subnormal)
        within = bound(name, expected, noise=(noise.get(name) or 0.0) * coarser, eps=in_part.eps)
        own: float | ndarray = underflow + within.atol
        allowed[name] = own if name not in in_part.digits else own + in_part.digits[name]
        # Numbers of a narrower dtype are judged by that, as the comparison does.
        if dtypes[name] == np.dtype(dtype) and (most := tolerated_by(tolerance, name, truth[name])) is not None:
            tolerated[name] = most
            allowed[name] = np.maximum(
                allowed[name], most / (SLACK_OF_FEW_DIGITS if in_part.eps > FEW_DIGITS else SLACK)
            )
    evidence = Evidence(
        actual={name: right_shape[name].astype(np.float64) for name in in_order},
        known=in_part.known,
        misshapen={name: array for name, array in actual.items() if name in shapes and shapes[name] != array.shape},
        truth=truth,
        allowed=allowed,
        dtypes=dtypes,
        tolerated=tolerated,
        eps=in_part.eps,
    )
    return replace(evidence, off=tuple(name for name in in_order if evidence.wrong(name).any()))


def tolerated_by(tolerance: Mapping[str, Any] | None, name: str, expected: ndarray) -> ndarray | None:
    """Return the error that a case's own tolerance allows each element, in its shape; None without a tolerance."""
    if tolerance is None or not ({"rtol", "atol", "default", name} & tolerance.keys()):
        return None
    given = bound(name, expected, tolerance)
    most: ndarray = given.atol + given.rtol * np.abs(expected)
    return most


def _narrower(own: np.dtype[Any], of_case: np.dtype[Any]) -> np.dtype[Any]:
    return own if own.kind == "f" and own.itemsize < of_case.itemsize else of_case
