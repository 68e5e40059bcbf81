"""One random case through implementations of one process, all in that process: who is to be looked at more closely.

What is found here is suspected, no more: ``harness.execution.session`` then runs the case as any other. Suspicion is
the cheaper and the stricter of the two: no floor is measured here, which can only widen a tolerance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy import ndarray

from harness.case import Case
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
"""An oracle is asked about one case in so many: it takes longer than all others together."""


class MadeElsewhere(Exception):
    """A case has its weights from a framework that another process has."""


@dataclass
class Screened:
    """What was seen in a batch of cases.

    Attributes:
        suspects: numbers of cases, each with the name of who is suspected.
        compared: for each implementation, how many cases it was compared on.
        elsewhere: the numbers of the cases that could not be built here.
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
    """Run the cases of some numbers through implementations that this process has.

    Args:
        drawing: how cases are drawn.
        numbers: which.
        baseline: what the implementations are compared with; it needs no framework, or this process has it.
        implementations: those in question.
        framework: the name of the framework that this process has.
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
    case: Case, problem: Problem, baseline: Implementation, implementations: Sequence[Implementation]
) -> Iterator[tuple[str, bool]]:
    """Yield who has an answer, or fails to have one, each with whether it agrees with the baseline."""
    try:
        expected = run(baseline, problem)
    except Unsupported:
        return
    except Exception:  # whatever it is, the case is run again where it can be told
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
    """The rounding noise of a problem, a lower bound of it first; each is measured once, when it is first needed.

    It takes as long as everything else, and one draw tells nearly always that an answer is right.
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
    """Tell whether two results match whatever the rounding noise is, which can only widen a default tolerance.

    They have the same tensors, of the same shapes and dtypes, all known and finite, and no element is off by more than
    the least units of the tolerance table times eps times its tensor's largest.
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
