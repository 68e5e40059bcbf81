"""How far the baseline itself is off: its answers held against answers with more digits than the case's dtype has.

No comparison with a baseline can tell more than the baseline knows. The answers with more digits come from the first of
these that can be had, and the report says which:

    certified     balls with proven digits (``harness.precision.intervals``)
    float64       the NumPy reference in float64, for a case in float32
    longdouble    the NumPy reference in longdouble, where this machine's is wider than float64

Distances are taken in the wider numbers, so the rounding of a float64 does not blur them. The reference in the case's
own dtype is measured, too: it has the same formulas, so that what it is off by is rounding and nothing else, which a
baseline of unknown quality cannot say of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray

from harness.problem import Problem
from harness.problem.recurrent import RecurrenceProblem
from harness.problem.reference import solve

Tensors = Mapping[str, ndarray]

MOST_WORK = {"float64": 1e10, "longdouble": 1e9}
"""Multiplications, about five seconds of each on one core."""


class NoFloor(Exception):
    """No answer with more digits can be had this way; the text is the reason."""


@dataclass(frozen=True, eq=False)
class Floor:
    """How far the baseline is off.

    Attributes:
        source: where the answers with more digits come from; empty if there are none.
        errors: |baseline − answer| of each element, absolute, in float64; infinite where the baseline is not finite.
        rounding: the largest |reference in the case's dtype − answer| of each tensor, absolute, where it is finite.
        reason: why there is no better source.
    """

    source: str = ""
    errors: Tensors = field(default_factory=dict)
    rounding: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


def from_balls(problem: Problem, baseline: Tensors) -> Floor:
    """Measure against certified answers. Imports python-flint.

    Args:
        problem: in the split layout.
        baseline: the baseline's tensors; those that the problem does not have are left out.

    Raises:
        NoFloor: if nothing can be certified.
    """
    if isinstance(problem, RecurrenceProblem):
        raise NoFloor("certified: only rnn, lstm and gru")
    from harness.precision.intervals.certification import NotCertified, certified
    from harness.precision.intervals.tensors import distance

    try:
        answer = certified(problem)
    except NotCertified as reason:
        raise NoFloor(f"certified: {reason}") from None
    return _measured("certified", problem, baseline, answer, distance)


def from_wider_numbers(problem: Problem, baseline: Tensors) -> Floor:
    """Measure against the reference in wider numbers: float64 or longdouble.

    Args:
        problem: in the split layout.
        baseline: the baseline's tensors; those that the problem does not have are left out.

    Raises:
        NoFloor: if there are no wider numbers, or the reference would take too long in them.
    """
    source = "float64" if problem.case.dtype == "float32" else "longdouble"
    if source == "longdouble" and not longdouble_is_wider():
        raise NoFloor("longdouble is float64 on this machine; python-flint, where it reaches, has more digits")
    if (work := problem.multiplications) > MOST_WORK[source]:
        raise NoFloor(f"{source}: would take {work:.1e} multiplications; at most {MOST_WORK[source]:.0e}")
    with np.errstate(all="ignore"):  # what overflows is judged where it is compared
        return _measured(source, problem, baseline, solve(problem.as_dtype(getattr(np, source))), _distance)


def longdouble_is_wider() -> bool:
    """Whether longdouble has more digits than float64 on this machine."""
    return bool(np.finfo(np.longdouble).eps < np.finfo(np.float64).eps)


def _measured(
    source: str, problem: Problem, baseline: Tensors, answer: Tensors, distance: Callable[[ndarray, ndarray], ndarray]
) -> Floor:
    with np.errstate(all="ignore"):  # what overflows is judged where it is compared
        in_dtype = solve(problem)
    errors = {
        name: distance(baseline[name], answer[name])
        for name in answer
        if name in baseline and baseline[name].shape == answer[name].shape
    }
    rounding: dict[str, float] = {}
    for name, tensor in in_dtype.items():
        # Usually the reference is the baseline, and was measured just now.
        same = name in errors and np.array_equal(tensor, baseline[name])
        apart = errors[name] if same else distance(tensor, answer[name])
        rounding[name] = float(apart[np.isfinite(tensor)].max(initial=0.0))
    return Floor(source, errors, rounding)


def _distance(tensor: ndarray, answer: ndarray) -> ndarray:
    with np.errstate(all="ignore"):
        apart = np.abs(tensor.astype(answer.dtype) - answer).astype(np.float64)
    return np.where(np.isfinite(tensor), apart, np.inf)
