"""The errors of one array against another, element by element. ``verdict`` interprets the numbers.

Everything is computed in float64 (longdouble stays longdouble), chunk by chunk, so that beside the two arrays only a
few megabytes are needed whatever their size. Elements that ``screening`` skips cannot change any of these numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy import ndarray

from harness.comparison import screening
from harness.comparison.screening import Screen

CHUNK = 2**15
"""Number of elements of a chunk: four arrays of this size stay in a core's cache."""

FIRST = 2**10
"""Number of elements of the first chunk, which is measured whole; its errors decide what is skipped later."""

Collect = Literal["none", "failed", "all"]


@dataclass(frozen=True, eq=False)
class Elements:
    """Elements of a comparison, as columns of equal length.

    Attributes:
        position: where in the flattened tensor.
        actual, expected: the two values.
        abs_error: absolute.
        rel_error: relative to the expected value.
        ulp_error: in units in the last place of the tensor's dtype.
        allowed: the bound at each element, atol + rtol·|expected|.
        ok: whether the element is within it.
    """

    position: ndarray
    actual: ndarray
    expected: ndarray
    abs_error: ndarray
    rel_error: ndarray
    ulp_error: ndarray
    allowed: ndarray
    ok: ndarray

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True, eq=False)
class Metrics:
    """The errors of a whole tensor, summed up.

    Attributes:
        elements: how many were compared.
        failed: how many are not within the bound.
        became_nonfinite: how many are NaN or infinite where the expected value is finite.
        max_abs_error, max_rel_error, max_ulp_error: NaN if any element's is.
        error_ratio: the largest |actual − expected| / (atol + rtol·|expected|); NaN if any element's is.
        worst: the position of the element with that ratio in the flattened tensor.
        actual, expected, allowed: the values there, and the bound.
        collected: single elements, as asked for.
    """

    elements: int
    failed: int
    became_nonfinite: int
    max_abs_error: float
    max_rel_error: float
    max_ulp_error: float
    error_ratio: float
    worst: int
    actual: float
    expected: float
    allowed: float
    collected: tuple[Elements, ...]

    def at(self, positions: ndarray) -> Metrics:
        """Return the metrics of a selection of elements with positions in the tensor that they were selected from."""
        return replace(
            self,
            worst=int(positions[self.worst]),
            collected=tuple(replace(each, position=positions[each.position]) for each in self.collected),
        )


def measure(
    actual: ndarray,
    expected: ndarray,
    *,
    rtol: float,
    atol: float | ndarray,
    nonfinite_allowed: bool = False,
    collect: Collect = "failed",
) -> Metrics:
    """Measure the errors of every element of ``actual``, each exactly once.

    Args:
        actual: the values in question, at least one.
        expected: what they should be, of the same shape.
        rtol: the bound's part relative to each expected element.
        atol: the bound's absolute part: one for all, or an array of one for each element in C order.
        nonfinite_allowed: whether the same NaN or infinity at the same place is no error.
        collect: which elements to return one by one.

    Raises:
        ValueError: if the shapes differ or there is nothing to compare.
    """
    if actual.shape != expected.shape:
        raise ValueError(f"shapes {actual.shape} and {expected.shape} cannot be compared")
    if actual.size == 0:
        raise ValueError("there are no elements to compare")
    flat_actual, flat_expected = _flat(actual), _flat(expected)
    so_far = _SoFar()
    screen = None
    if actual.size > FIRST and collect != "all" and actual.dtype == expected.dtype in screening.DTYPES:
        screen = Screen(actual.dtype, float(np.min(atol)), min(CHUNK, actual.size))
    collected = []
    start = 0
    while start < actual.size:
        end = start + (CHUNK if start or screen is None else min(FIRST, CHUNK))
        chunk_actual, chunk_expected = flat_actual[start:end], flat_expected[start:end]
        if screen is not None and start:
            left = screen.left(chunk_actual, chunk_expected)
            chunk_actual, chunk_expected, position = chunk_actual[left], chunk_expected[left], start + left
        else:
            position = np.arange(start, start + len(chunk_actual))
        start = end
        if not len(position):
            continue
        chunk = _elements(
            chunk_actual,
            chunk_expected,
            position,
            rtol,
            atol[position] if isinstance(atol, ndarray) else atol,
            nonfinite_allowed,
        )
        so_far.add(chunk)
        if screen is not None:
            abs_error, rel_error, ulp_error = so_far.maxima
            screen.limit(abs_error, rel_error, ulp_error, so_far.ratio)
        if collect == "all":
            collected.append(chunk)
        elif collect == "failed" and not chunk.ok.all():
            collected.append(_selected(chunk, ~chunk.ok))
    return so_far.metrics(actual.size, tuple(collected))


class _SoFar:
    """The largest errors of the elements that were looked at, and how many of those are wrong."""

    def __init__(self) -> None:
        self.failed = self.became_nonfinite = 0
        self.maxima = np.zeros(3)  # absolute error, relative error, error in ulp
        self.ratio, self.worst, self.at_worst = -1.0, 0, np.zeros(3)

    def add(self, chunk: Elements) -> None:
        self.failed += int((~chunk.ok).sum())
        self.became_nonfinite += int((~np.isfinite(chunk.actual) & np.isfinite(chunk.expected)).sum())
        columns = (chunk.abs_error, chunk.rel_error, chunk.ulp_error)
        self.maxima = np.maximum(self.maxima, [column.max() for column in columns])  # NaN stays
        ratio = _ratio(chunk)
        at = int(np.argmax(ratio))  # the first NaN, if there is one
        if not np.isnan(self.ratio) and not ratio[at] <= self.ratio:
            self.ratio, self.worst = float(ratio[at]), int(chunk.position[at])
            if ratio[at] > 1 >= self.ratio:  # a longdouble above 1 by less than a float resolves
                self.ratio = math.nextafter(1, 2)
            self.at_worst = np.array([chunk.actual[at], chunk.expected[at], chunk.allowed[at]], np.float64)

    def metrics(self, elements: int, collected: tuple[Elements, ...]) -> Metrics:
        return Metrics(
            elements=elements,
            failed=self.failed,
            became_nonfinite=self.became_nonfinite,
            max_abs_error=float(self.maxima[0]),
            max_rel_error=float(self.maxima[1]),
            max_ulp_error=float(self.maxima[2]),
            error_ratio=self.ratio,
            worst=self.worst,
            actual=float(self.at_worst[0]),
            expected=float(self.at_worst[1]),
            allowed=float(self.at_worst[2]),
            collected=collected,
        )


def _flat(array: ndarray) -> ndarray | np.flatiter[Any]:
    """Return what slices in C order are cut from; an array that lies otherwise in memory is not copied as a whole."""
    return array.reshape(-1) if array.flags.c_contiguous else array.flat


def _elements(
    raw_a: ndarray,
    raw_e: ndarray,
    position: ndarray,
    rtol: float,
    atol: float | ndarray,
    nonfinite_allowed: bool,
) -> Elements:
    dtype = np.promote_types(np.promote_types(raw_a.dtype, raw_e.dtype), np.float64)
    with np.errstate(all="ignore"):  # overflow and NaN are intended here
        a, e = raw_a.astype(dtype, copy=False), raw_e.astype(dtype, copy=False)
        finite = np.isfinite(a) & np.isfinite(e)
        whole = raw_a.dtype == raw_e.dtype and raw_a.dtype.kind in "biu"
        abs_error = _whole_difference(raw_a, raw_e) if whole else np.abs(a - e)
        magnitude = np.abs(e)
        allowed = atol + rtol * magnitude
        rel_error = np.divide(abs_error, magnitude, out=np.zeros_like(a), where=abs_error != 0)
    ulp_error = ulp_distance(raw_a, raw_e)
    ok = finite & np.isfinite(abs_error) & (abs_error <= allowed)
    if not finite.all():
        same = ~finite & ((a == e) | (np.isnan(a) & np.isnan(e)))
        if nonfinite_allowed:
            ok |= same
            for column in (abs_error, rel_error, ulp_error):
                column[same] = 0.0
    return Elements(position, a, e, abs_error, rel_error, ulp_error, allowed, ok)


def _ratio(chunk: Elements) -> ndarray:
    """|actual − expected| / allowed; 0 where there is no error, whatever is allowed."""
    with np.errstate(all="ignore"):
        return np.divide(chunk.abs_error, chunk.allowed, out=np.zeros_like(chunk.abs_error), where=chunk.abs_error != 0)


def _selected(chunk: Elements, mask: ndarray) -> Elements:
    return Elements(*(getattr(chunk, name)[mask] for name in Elements.__dataclass_fields__))


def ulp_distance(a: ndarray, b: ndarray) -> ndarray:
    """Return how many representable numbers lie between a and b, elementwise, as float64; NaN where either is NaN.

    Counted in the dtype that both have; in the narrower one if they differ.
    """
    with np.errstate(all="ignore"):
        if a.dtype != b.dtype:
            narrower = min(a.dtype, b.dtype, key=lambda dtype: dtype.itemsize)
            a, b = a.astype(narrower), b.astype(narrower)
        if a.dtype.kind in "biu":
            return _whole_difference(a, b)
        if a.dtype not in _BITS:
            return _longdouble_distance(a, b)
    bits = _BITS[a.dtype]
    sign = bits.type(1 << (a.dtype.itemsize * 8 - 1))
    of_a, of_b = a.view(bits), b.view(bits)
    # With the sign bit removed, the bits of a float count the representable numbers between it and zero.
    from_zero_a, from_zero_b = of_a & ~sign, of_b & ~sign
    apart = np.maximum(from_zero_a, from_zero_b) - np.minimum(from_zero_a, from_zero_b)
    distance = np.where((of_a ^ of_b) & sign, from_zero_a + from_zero_b, apart).astype(np.float64)
    distance[np.isnan(a) | np.isnan(b)] = np.nan
    return distance


def _whole_difference(a: ndarray, b: ndarray) -> ndarray:
    """|a − b| of whole numbers or truth values of one dtype, as float64; differences up to 2⁵³ are exact."""
    # Two's complement wraps round, so that the difference is right whatever the signs.
    larger, smaller = (each.astype(np.uint64) for each in (np.maximum(a, b), np.minimum(a, b)))
    return (larger - smaller).astype(np.float64)


def _longdouble_distance(a: ndarray, b: ndarray) -> ndarray:
    """Return ``ulp_distance`` from mantissas and exponents, for a dtype with other bits on other machines."""
    info = np.finfo(a.dtype)
    half = np.ldexp(a.dtype.type(1), info.nmant)  # representable numbers in a binade

    def split(x: ndarray) -> tuple[ndarray, ndarray]:
        """Binades above the least one, and position in the binade: infinity follows the largest number."""
        least = info.minexp + 1
        exponent = np.where(x == 0, least, np.maximum(np.frexp(np.abs(x))[1], least))
        position = np.ldexp(np.abs(x), info.nmant + 1 - exponent)
        infinite = np.isinf(x)
        exponent = np.where(infinite, info.maxexp + 1, exponent)
        return exponent - least, np.where(infinite, half, position)

    (binades_a, position_a), (binades_b, position_b) = split(a), split(b)
    apart = np.abs((binades_a - binades_b) * half + (position_a - position_b))
    across_zero = (binades_a + binades_b) * half + (position_a + position_b)
    distance = np.where(np.signbit(a) == np.signbit(b), apart, across_zero).astype(np.float64)
    distance[np.isnan(a) | np.isnan(b)] = np.nan
    return distance


_BITS = {np.dtype(f"f{size}"): np.dtype(f"u{size}") for size in (2, 4, 8)}
