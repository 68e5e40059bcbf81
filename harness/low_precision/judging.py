"""The verdict on gradients that were computed in low precision, tensor by tensor, over two dozen problems.

The exact gradient g* belongs to the very same rounded numbers that the implementation received. Three measures of an
answer g are judged:

- the largest error of any element, in units of the largest change that simulated rounding makes;
- the root mean square of all errors, in units of that of simulated rounding;
- the projection α = ⟨g, g*⟩ / ⟨g*, g*⟩, which is 1 on average for a right answer wherever it rounds. Its t-value over
  the problems needs no model of the rounding. (Student 1908, "The probable error of a mean".)

A wrong factor of one per cent hides in the noise of one element, and stands out in a projection, which averages the
roundings of all elements.

Two kinds of rounding are not small: a number near a kink may fall on its other side, and a number may leave the
format's range. An answer beyond a limit is therefore compared with many more draws on the problem where it is furthest
off. Elements that overflow in a draw are left out.

With few digits roundings are not fair: small terms vanish beside a large sum, numbers below the range become zero, and
a gate of 0.97 becomes 1. A pass that rounds each result to nearest has the same bias; the projection is allowed that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray

from harness.low_precision.elsewhere import ELSEWHERE
from harness.low_precision.rounding import HEADROOM, Simulation

DRAWS = 2
"""Number of simulated roundings of each problem."""

MOST_DRAWS = 34
"""Number of simulated roundings of a problem on which an answer is beyond a limit."""

MOST_OF_LARGEST = 4.0
"""Maximum of the largest error, in units of the largest simulated one."""

MOST_OF_RMS = 1.5
"""Maximum of the root mean square of errors over all problems, in units of the simulated one."""

MOST_T = 7.0
"""Maximum |t|. One right answer in three million is above it, if the projections of 24 problems are normal."""

LEAST_BIAS = 0.25
"""Minimum |mean of α − 1| in units of u, for a fault: roundings are not fair to this extent."""

MOST_OF_BIAS = 1.5
"""Maximum of the mean of α − 1 in units of that of a pass that rounds to nearest, beyond the least bias."""

LEAST_T = 3.5
"""Minimum |t| of the bias of a pass that rounds to nearest, for it to count."""

LEAST_JUDGED = 8
"""Minimum of problems on which a tensor must not overflow by rounding alone."""


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
        shape: its shape on one problem.
        largest: the largest error of any element, in units of the largest simulated one.
        rms: the root mean square of errors, in units of the simulated one.
        projection: the mean of α − 1.
        t: the t-value of that mean.
        allowed: the least and the largest mean of α − 1 of a right answer.
        left_out: the number of elements, over all problems, that rounding alone makes overflow.
        seen: the factors that each measure sees.
        elsewhere: by the rule of another project, whether it accepts the answers, and the smallest factor that it sees.
        reason: the reason why it cannot be measured, such as a wrong shape or NaN; empty if it can.
    """

    tensor: str
    shape: tuple[int, ...]
    largest: float = math.nan
    rms: float = math.nan
    projection: float = math.nan
    t: float = math.nan
    allowed: tuple[float, float] = (math.nan, math.nan)
    left_out: int = 0
    seen: FactorsSeen = FactorsSeen(math.nan, math.nan, math.nan)
    elsewhere: Mapping[str, tuple[bool, float]] = field(default_factory=dict)
    reason: str = ""

    @property
    def is_off_on_average(self) -> bool:
        """True if the projection differs from 1, and by more than roundings explain."""
        low, high = self.allowed
        return abs(self.t) > MOST_T and not low <= self.projection <= high

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
        if self.is_off_on_average:
            factor = 1 + self.projection
            found.append(
                f"it is {factor:.5g} times the right gradient on average, t = {self.t:.3g} (at most {MOST_T:g})"
            )
        return found


def measured(answers: Sequence[Mapping[str, ndarray]], simulations: Sequence[Simulation]) -> list[Measured]:
    """Measure the errors of an implementation, tensor by tensor.

    Args:
        answers: its tensors by name, for each of two dozen problems of the same shapes.
        simulations: the problems with their simulated roundings.

    Returns:
        An entry for each tensor that it returns and that the problems have.
    """
    known = simulations[0].right
    names = dict.fromkeys(name for answer in answers for name in answer if name in known)
    return [_measured(name, answers, simulations) for name in names]


def _measured(name: str, answers: Sequence[Mapping[str, ndarray]], simulations: Sequence[Simulation]) -> Measured:
    shape, unit = simulations[0].right[name].shape, simulations[0].rounds.coarsest.unit
    compared: list[_Compared] = []
    for answer, simulation in zip(answers, simulations, strict=True):
        if name not in answer:
            continue
        array, right = np.asarray(answer[name], np.float64), simulation.right[name]
        if array.shape != right.shape:
            return Measured(
                name, simulations[0].right[name].shape, reason=f"has shape {array.shape}, but should have {right.shape}"
            )
        compared.append(_Compared(name, array, simulation))
    for each in compared:
        if wrong := each.not_finite:
            reason = f"{wrong:,} of {each.array.size:,} elements are NaN or infinite"
            return Measured(name, shape, reason=reason)
    judged = [each for each in compared if each.there.any() or not each.array.size]
    if len(judged) < min(LEAST_JUDGED, len(compared)):
        lost = len(compared) - len(judged)
        reason = f"cannot be judged: rounding alone makes it overflow on {lost} of {len(compared)} problems"
        return Measured(name, shape, reason=reason)
    found = _together(name, judged, unit)
    if found.is_off_on_average:
        return found  # more draws change nothing
    while (worst := max(judged, key=lambda each: each.largest)).largest > MOST_OF_LARGEST and worst.draw_more():
        pass
    while _rms_of(judged) > MOST_OF_RMS and (worst := max(judged, key=lambda each: each.excess)).draw_more():
        pass
    return _together(name, judged, unit)


class _Compared:
    """One tensor of one problem beside its simulated roundings; errors are absolute, but for ``largest``.

    Attributes:
        array: the answer.
        there: the elements that no draw makes overflow, and that are not near the end of the format's range.
        draws: the number of simulated roundings.
        largest: the largest error, in units of the largest simulated one.
        square: the sum of the squared errors.
        simulated_square: that of simulated rounding, the mean of two draws or the largest of many. One element may
            have most of it, and then even a right answer is far from the mean.
    """

    def __init__(self, name: str, array: ndarray, simulation: Simulation) -> None:
        self.array, self._name, self._simulation = array, name, simulation
        self._right = simulation.right[name]
        self._compare(DRAWS)
        if self.not_finite:
            self.draw_more()

    @property
    def not_finite(self) -> int:
        """The number of elements that are NaN or infinite, though rounding makes none of them overflow."""
        return int(np.count_nonzero(~np.isfinite(self.array) & self.there))

    @property
    def excess(self) -> float:
        """The part of the squared errors that is beyond the limit."""
        return self.square - MOST_OF_RMS**2 * self.simulated_square

    def draw_more(self) -> bool:
        """Compare with many more draws; return False if that was done before, or would take hours."""
        if self.draws == MOST_DRAWS or self._simulation.is_long:
            return False
        self._compare(MOST_DRAWS)
        return True

    def _compare(self, draws: int) -> None:
        self.draws = draws
        drawn = np.stack([each[self._name] for each in self._simulation.draws(draws)])  # (draws, …)
        nearest = self._simulation.nearest[self._name]
        within = np.abs(self._right) <= self._simulation.rounds.stored.largest / HEADROOM
        self.there = np.isfinite(drawn).all(0) & np.isfinite(nearest) & within
        if self._simulation.overflows:  # one overflow leads to others, in other sums than those of a simulation
            self.there &= np.isfinite(self.array)
        right, array = self._right[self.there], self.array[self.there]  # (elements,)
        noise, errors = drawn[:, self.there] - right, array - right
        self.square, self.right_square = float(errors @ errors), float(right @ right)
        squares = np.square(noise).sum(1)  # (draws,)
        self.simulated_square = float(squares.mean() if draws == DRAWS else squares.max())
        self.simulated_largest = float(np.abs(noise).max(initial=0.0))
        self.right_largest = float(np.abs(right).max(initial=0.0))
        self.largest = _ratio(float(np.abs(errors).max(initial=0.0)), self.simulated_largest)
        self.alpha = _over(float(errors @ right), self.right_square)
        self.nearest_alpha = _over(float((nearest[self.there] - right) @ right), self.right_square)

    @property
    def elsewhere(self) -> Mapping[str, tuple[bool, float]]:
        """By the rule of another project, whether it accepts the answer, and the smallest factor that it sees."""
        array, right = self.array[self.there], self._right[self.there]
        return {name: (rule.accepts(array, right), rule.sees(right)) for name, rule in ELSEWHERE.items()}


def _rms_of(judged: Sequence[_Compared]) -> float:
    """Return the root mean square of all errors, in units of that of simulated rounding."""
    return math.sqrt(_ratio(sum(each.square for each in judged), sum(each.simulated_square for each in judged)))


def _together(name: str, judged: Sequence[_Compared], unit: float) -> Measured:
    mean, error = _mean([each.alpha for each in judged])
    bias, of_bias = _mean([each.nearest_alpha for each in judged])
    bias = MOST_OF_BIAS * bias if abs(bias) > LEAST_T * of_bias else 0.0
    allowed = min(bias, 0.0) - LEAST_BIAS * unit, max(bias, 0.0) + LEAST_BIAS * unit
    squares = sum(each.simulated_square for each in judged), sum(each.right_square for each in judged)
    seen = FactorsSeen(
        largest=min(_ratio(MOST_OF_LARGEST * each.simulated_largest, each.right_largest) for each in judged),
        rms=MOST_OF_RMS * math.sqrt(_ratio(*squares)),
        projection=max(MOST_T * error, *np.abs(allowed)),
    )
    elsewhere = [each.elsewhere for each in judged]
    return Measured(
        name,
        judged[0].array.shape,
        largest=max(each.largest for each in judged),
        rms=_rms_of(judged),
        projection=mean,
        t=mean / error if error else math.copysign(math.inf, mean) if mean else 0.0,
        allowed=allowed,
        left_out=sum(int(np.count_nonzero(~each.there)) for each in judged),
        seen=seen,
        elsewhere={
            rule: (all(each[rule][0] for each in elsewhere), min(each[rule][1] for each in elsewhere))
            for rule in ELSEWHERE
        },
    )


def _mean(numbers: Sequence[float]) -> tuple[float, float]:
    """Return the mean, and its standard error."""
    error = float(np.std(numbers, ddof=1)) / math.sqrt(len(numbers)) if len(numbers) > 1 else math.inf
    return float(np.mean(numbers)), error


def _over(one: float, other: float) -> float:
    return one / other if other else 0.0


def _ratio(one: float, other: float) -> float:
    return one / other if other else math.inf if one else 0.0
