"""The baseline's own error: its distance from answers with more digits than the case's dtype has.

A comparison with a baseline cannot be more exact than the baseline. The answers with more digits come from the first
available of these sources, and the report names it:

    certified     intervals with proven digits (``harness.precision.intervals``)
    float64       the NumPy reference in float64, for a case in float32
    longdouble    the NumPy reference in longdouble, where this machine's is wider than float64

Distances are computed in the wider numbers, so the rounding of a float64 does not blur them. The reference in the
case's own dtype is measured, too. It has the same formulas, so its error is rounding alone; a baseline of unknown
quality may have other errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray

from harness.problem import Problem

Tensors = Mapping[str, ndarray]

MOST_WORK = {"float64": 1e10, "longdouble": 1e9}
"""Maximum multiplications by source, about five seconds each on one core."""


class NoErrorFloor(Exception):
    """This source has no answer with more digits; the text is the reason."""


@dataclass(frozen=True, eq=False)
class ErrorFloor:
    """The error of the baseline.

    Attributes:
        source: The source of the answers with more digits; empty if there are none.
        errors: |baseline − answer| of each element, absolute, in float64; infinite where the baseline is not finite.
        rounding: The largest finite |reference in the case's dtype − answer| of each tensor, absolute.
        reason: The reason why there is no better source.
    """

    source: str = ""
    errors: Tensors = field(default_factory=dict)
    rounding: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


def from_intervals(problem: Problem, baseline: Tensors) -> ErrorFloor:
    """Measure the baseline's distance from certified answers. Imports python-flint.

    Args:
        problem: The problem, in the split layout.
        baseline: The baseline's tensors; those that the problem does not have are left out.

    Raises:
        NoErrorFloor: If nothing can be certified.
    """
    from harness.precision.intervals.certification import NotCertified, certified
    from harness.precision.intervals.tensors import distance

    try:
        answer = certified(problem)
    except NotCertified as reason:
        raise NoErrorFloor(f"certified: {reason}") from None
    return _measured("certified", problem, baseline, answer, distance)


def from_wider_numbers(problem: Problem, baseline: Tensors) -> ErrorFloor:
    """Measure the baseline's distance from the reference in wider numbers: float64 or longdouble.

    Args:
        problem: The problem, in the split layout.
        baseline: The baseline's tensors; those that the problem does not have are left out.

    Raises:
        NoErrorFloor: If there are no wider numbers, or the reference would take too long in them.
    """
    source = "float64" if problem.case.dtype == "float32" else "longdouble"
    if source == "longdouble" and not longdouble_is_wider():
        raise NoErrorFloor("longdouble is float64 on this machine; python-flint, where it reaches, has more digits")
    if (work := problem.multiplications) > MOST_WORK[source]:
        raise NoErrorFloor(f"{source}: would take {work:.1e} multiplications; at most {MOST_WORK[source]:.0e}")
    with np.errstate(all="ignore"):  # what overflows is judged where it is compared
        from harness.problem.reference import solve

        return _measured(source, problem, baseline, solve(problem.as_dtype(getattr(np, source))), _distance)


def longdouble_is_wider() -> bool:
    """Return whether longdouble has more digits than float64 on this machine."""
    return bool(np.finfo(np.longdouble).eps < np.finfo(np.float64).eps)


def _measured(
    source: str, problem: Problem, baseline: Tensors, answer: Tensors, distance: Callable[[ndarray, ndarray], ndarray]
) -> ErrorFloor:
    with np.errstate(all="ignore"):  # what overflows is judged where it is compared
        from harness.problem.reference import solve

        in_dtype = solve(problem)
    errors = {
        name: distance(baseline[name], answer[name])
        for name in answer
        if name in baseline and baseline[name].shape == answer[name].shape
    }
    rounding: dict[str, float] = {}
    for name, tensor in in_dtype.items():
        # Usually the reference is the baseline, and is measured already.
        same = name in errors and np.array_equal(tensor, baseline[name])
        apart = errors[name] if same else distance(tensor, answer[name])
        rounding[name] = float(apart[np.isfinite(tensor)].max(initial=0.0))
    return ErrorFloor(source, errors, rounding)


def _distance(tensor: ndarray, answer: ndarray) -> ndarray:
    with np.errstate(all="ignore"):
        apart = np.abs(tensor.astype(answer.dtype) - answer).astype(np.float64)
    return np.where(np.isfinite(tensor), apart, np.inf)
