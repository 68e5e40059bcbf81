"""The verdict on gradients that were computed in low precision, tensor by tensor, over two dozen problems.

The exact gradient g* belongs to the very same rounded numbers that the implementation received. Three measures of an
answer g are judged:

- the largest error of any element, in units of the largest change that simulated rounding makes;
- the root mean square of all errors, in units of that of simulated rounding;
- the projection α = ⟨g, g*⟩ / ⟨g*, g*⟩, which is 1 on average for a right answer wherever it rounds. Its t-value over
  the problems needs no model of the rounding. (Student 1908, "The probable error of a mean".)

A wrong factor of one per cent hides in the noise of one element, and stands out in a projection, which averages the
roundings of all elements.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray

from harness.low_precision.elsewhere import ELSEWHERE
from harness.low_precision.rounding import moved
from harness.precision.formats import Rounds
from harness.problem.recurrent import RecurrenceProblem

DRAWS = 2
"""Number of simulated roundings of each problem."""

MOST_OF_LARGEST = 4.0
"""Maximum of the largest error, in units of the largest simulated one."""

MOST_OF_RMS = 1.5
"""Maximum of the root mean square of errors over all problems, in units of the simulated one."""

MOST_T = 7.0
"""Maximum |t|. One right answer in three million is above it, if the projections of 24 problems are normal."""

LEAST_BIAS = 0.25
"""Minimum |mean of α − 1| in units of u, for a fault: roundings are not fair to this extent."""


@dataclass(frozen=True)
class FactorsSeen:
    """The smallest wrong factor of a whole tensor that each measure sees, as its distance from 1.

    Attributes:
        largest: by the largest error.
        rms: by the root mean square.
        projection: by the projection.
    """

    largest: float
    rms: float
    projection: float

    @property
    def best(self) -> float:
        """The smallest that any of the three sees."""
        return min(self.largest, self.rms, self.projection)


@dataclass(frozen=True)
class Measured:
    """The errors of one tensor over all problems.

    Attributes:
        tensor: its name.
        largest: the largest error of any element, in units of the largest simulated one.
        rms: the root mean square of errors, in units of the simulated one.
        projection: the mean of α − 1.
        t: the t-value of that mean.
        unit: the unit roundoff of the coarsest format.
        seen: the factors that each measure sees.
        elsewhere: by the rule of another project, whether it accepts the answers, and the smallest factor that it sees.
        reason: the reason why it cannot be measured, such as a wrong shape or NaN; empty if it can.
    """

    tensor: str
    largest: float = math.nan
    rms: float = math.nan
    projection: float = math.nan
    t: float = math.nan
    unit: float = math.nan
    seen: FactorsSeen = FactorsSeen(math.nan, math.nan, math.nan)
    elsewhere: Mapping[str, tuple[bool, float]] = field(default_factory=dict)
    reason: str = ""

    @property
    def faults(self) -> list[str]:
        """The measures that find a fault, in words; none for a right answer."""
        if self.reason:
            return [self.reason]
        found = []
        if not self.largest <= MOST_OF_LARGEST:
            found.append(
                f"the largest error is {self.largest:.3g} times that of rounding (at most {MOST_OF_LARGEST:g})"
            )
        if not self.rms <= MOST_OF_RMS:
            found.append(f"the RMS error is {self.rms:.3g} times that of rounding (at most {MOST_OF_RMS:g})")
        if abs(self.t) > MOST_T and abs(self.projection) > LEAST_BIAS * self.unit:
            factor = 1 + self.projection
            found.append(
                f"it is {factor:.5g} times the right gradient on average, t = {self.t:.3g} (at most {MOST_T:g})"
            )
        return found


def measured(
    answer: Callable[[RecurrenceProblem], Mapping[str, ndarray]], problems: Sequence[RecurrenceProblem], rounds: Rounds
) -> list[Measured]:
    """Measure the errors of an implementation, tensor by tensor.

    Args:
        answer: a function from a problem to tensors by name.
        problems: two dozen problems of the same shapes, in float64, with numbers that the format of stored arrays has.
        rounds: where the implementation rounds.

    Returns:
        An entry for each tensor that it returns and that the problem has.
    """
    found: dict[str, list[_One]] = {}
    reasons: dict[str, str] = {}
    for seed, problem in enumerate(problems):
        simulated = moved(problem.sequences, rounds, DRAWS, seed)
        for name, array in answer(problem).items():
            if name not in simulated.right:
                continue
            right = simulated.right[name]
            array = np.asarray(array, np.float64)
            if array.shape != right.shape:
                reasons[name] = f"has shape {array.shape}, but should have {right.shape}"
            elif not np.isfinite(array).all() and np.isfinite(right).all():
                reasons[name] = (
                    f"{np.count_nonzero(~np.isfinite(array)):,} of {array.size:,} elements are NaN or infinite"
                )
            else:
                found.setdefault(name, []).append(_one(array, right, [each[name] for each in simulated.draws]))
    unit = rounds.coarsest.unit
    return [
        Measured(name, unit=unit, reason=reasons[name]) if name in reasons else _together(name, found[name], unit)
        for name in {**found, **reasons}
    ]


@dataclass(frozen=True)
class _One:
    """One tensor of one problem: errors and simulated errors, absolute; and how large the right tensor is."""

    largest: float
    square: float
    simulated_largest: float
    simulated_square: float
    alpha: float
    right_square: float
    right_largest: float
    elsewhere: Mapping[str, tuple[bool, float]]


def _one(array: ndarray, right: ndarray, draws: Sequence[ndarray]) -> _One:
    errors, noise = array - right, [each - right for each in draws]
    squares = float((right * right).sum())
    return _One(
        largest=float(np.abs(errors).max(initial=0.0)),
        square=float((errors * errors).sum()),
        simulated_largest=max(float(np.abs(each).max(initial=0.0)) for each in noise),
        simulated_square=float(np.mean([(each * each).sum() for each in noise])),
        alpha=float((array * right).sum() / squares) - 1 if squares else 0.0,
        right_square=squares,
        right_largest=float(np.abs(right).max(initial=0.0)),
        elsewhere={name: (rule.accepts(array, right), rule.sees(right)) for name, rule in ELSEWHERE.items()},
    )


def _together(name: str, ones: Sequence[_One], unit: float) -> Measured:
    largest = max(_ratio(each.largest, each.simulated_largest) for each in ones)
    rms = math.sqrt(_ratio(sum(each.square for each in ones), sum(each.simulated_square for each in ones)))
    alpha = np.array([each.alpha for each in ones])
    mean = float(alpha.mean())
    error = float(alpha.std(ddof=1)) / math.sqrt(len(ones)) if len(ones) > 1 else math.inf
    t = mean / error if error else math.copysign(math.inf, mean) if mean else 0.0
    seen = FactorsSeen(
        largest=min(_ratio(MOST_OF_LARGEST * each.simulated_largest, each.right_largest) for each in ones),
        rms=MOST_OF_RMS
        * math.sqrt(_ratio(sum(each.simulated_square for each in ones), sum(each.right_square for each in ones))),
        projection=max(MOST_T * error, LEAST_BIAS * unit),
    )
    others = {
        rule: (all(each.elsewhere[rule][0] for each in ones), min(each.elsewhere[rule][1] for each in ones))
        for rule in ELSEWHERE
    }
    return Measured(name, largest, rms, mean, t, unit, seen, others)


def _ratio(one: float, other: float) -> float:
    return one / other if other else math.inf if one else 0.0
