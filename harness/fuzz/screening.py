"""Run random cases through the implementations of one process, in that process, and report the suspects.

A suspect is not yet wrong: ``harness.execution.session`` then runs the case like any other. Screening is the cheaper
and stricter of the two, since it measures no error floor, which can only widen a tolerance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy import ndarray

from harness.case import ValidCase
from harness.execution.session import compare_for
from harness.fuzz.candidates import Drawing
from harness.implementations import Implementation, Unsupported, initialisers
from harness.layout import layouts
from harness.precision.rounding_noise import rounding_noise
from harness.precision.tolerance import OTHER_UNITS, UNITS
from harness.problem import Problem, build
from harness.result import Result
from harness.tensors import Structure
from harness.training import noise_of, run

ORACLE_EVERY = 20
"""Number of cases per case with an oracle, which takes longer than all other implementations together."""


class MadeElsewhere(Exception):
    """A case takes its weights from a framework of another process."""


@dataclass
class Screened:
    """The result of screening a batch of cases.

    Attributes:
        suspects: The numbers of suspicious cases, each with the name of the suspected implementation.
        compared: For each implementation, the number of cases on which it was compared.
        elsewhere: The numbers of the cases that could not be built here.
    """

    suspects: list[tuple[int, str]] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    elsewhere: list[int] = field(default_factory=list)


def screened(
    drawing: Drawing,
    numbers: Sequence[int],
    baseline: Implementation,
    implementations: Sequence[Implementation],
    framework: str,
) -> Screened:
    """Run the cases with some numbers through implementations of this process.

    Args:
        drawing: The parameters of the cases.
        numbers: The numbers of the cases.
        baseline: The implementation with which the others are compared; it needs no framework, or that of this process.
        implementations: The implementations to screen.
        framework: The name of the framework of this process.
    """

    def native(wanted: str, seed: int, structure: Structure, dtype: str) -> Mapping[str, ndarray]:
        if wanted != framework:
            raise MadeElsewhere
        chosen = initialisers()[wanted]
        assert chosen.initial_weights is not None
        return layouts()[chosen.layout].to_canonical(chosen.initial_weights(structure, seed, dtype), structure)

    found = Screened()
    for number in numbers:
        case = drawing.of(number)
        try:
            problem = build(case, native)
        except MadeElsewhere:
            found.elsewhere.append(number)
            continue
        asked = [each for each in implementations if not each.is_oracle or number % ORACLE_EVERY == 0]
        for name, agrees in _verdicts(case, problem, baseline, asked):
            found.compared[name] += 1
            if not agrees:
                found.suspects.append((number, name))
    return found


def _verdicts(
    case: ValidCase, problem: Problem, baseline: Implementation, implementations: Sequence[Implementation]
) -> Iterator[tuple[str, bool]]:
    """Yield each implementation that answers or fails, and whether it agrees with the baseline."""
    try:
        expected = run(baseline, problem)
    except Unsupported:
        return
    except Exception:  # whatever it is, the case is run again where it is reported
        yield baseline.name, False
        return
    noises = Noises(problem)
    for each in implementations:
        if each.name == baseline.name or not each.takes_part_in(case) or each.reason_against(case):
            continue
        try:
            actual = run(each, problem)
            yield (
                each.name,
                surely_agrees(actual, expected)
                or any(compare_for(problem, actual, expected, noise, each.promise, "none").matches for noise in noises),
            )
        except Unsupported:
            continue
        except Exception:  # the same
            yield each.name, False


class Noises:
    """The rounding noise of a problem: a lower bound first, then the noise itself, each measured once on demand.

    Measuring takes as long as everything else, and one draw nearly always suffices to accept a right answer.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._known: list[dict[str, float]] = []

    def __iter__(self) -> Iterator[dict[str, float]]:
        measures: tuple[Callable[[Problem], dict[str, float]], ...] = (partial(rounding_noise, draws=1), noise_of)
        for position, measured in enumerate(measures):
            if position == len(self._known):
                self._known.append(measured(self._problem))
            yield self._known[position]


def surely_agrees(actual: Result, expected: Result) -> bool:
    """Return whether two results match for any rounding noise, which can only widen a default tolerance.

    They must have the same tensors with the same shapes and dtypes, all known and finite. No element may be off by more
    than the least units of the tolerance table times eps times its tensor's largest element.
    """
    mine, other = actual.tensors, expected.tensors
    if actual.known or actual.half_units or mine.keys() != other.keys():
        return False
    for name, tensor in other.items():
        own = mine[name]
        if own.shape != tensor.shape or own.dtype != tensor.dtype:
            return False
        if tensor.size and not (np.abs(own - tensor) <= _LEAST[tensor.dtype] * np.abs(tensor).max()).all():
            return False
    return True


_LEAST = {
    np.dtype(dtype): min(OTHER_UNITS, *units.values()) * float(np.finfo(dtype).eps) for dtype, units in UNITS.items()
}
"""The least units of the tolerance table, times eps, by dtype."""
