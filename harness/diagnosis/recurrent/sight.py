"""The sight of a recurrence's problem: the faults of its step that show there, and why others do not.

A fault is a rule of the derived reverse pass that can be broken. It can occur if it changes a gradient of a problem
that hides nothing: sizes that all differ, several steps and sequences, random numbers. On another problem the same rule
may change nothing by more than the tolerance, or have no place: with one step, no gradient is carried. The reason is
found by trial: each property that hides faults is removed by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

from harness.case.recurrent import Draw
from harness.diagnosis.recurrent.explaining import Explainer
from harness.diagnosis.recurrent.tracks import taped
from harness.diagnosis.sight import Sight
from harness.precision.rounding_noise import rounding_noise
from harness.problem.recurrent import RecurrenceProblem, problem_of
from harness.recurrences import Recurrence

HIDES_NOTHING = Draw()
"""The draw of a problem that hides no fault."""

MOST_NUMBERS = 2e7
"""Maximum of numbers of a pass over a problem, in all operations and steps; minutes for hundreds of rules."""

TOGETHER = "several of its properties together"
"""The reason for a fault that no removal of a single property shows."""


class TooLargeError(ValueError):
    """A problem is too large to break every rule on it."""


def sight(problem: RecurrenceProblem) -> Sight:
    """Break every rule of a step on a problem, and see which faults show.

    Args:
        problem: a problem that was drawn; one like it is drawn where a reason is sought.

    Raises:
        TooLargeError: if that would take many minutes.
    """
    numbers = taped(problem.calculation).size
    if numbers > MOST_NUMBERS:
        raise TooLargeError(
            f"a pass over it has {numbers:.1e} numbers, and each fault needs one; at most {MOST_NUMBERS:.0e}, so use "
            "smaller sizes"
        )
    draw, sizes = _drawn_from(problem)
    possible = _possible(problem.recurrence, draw.dtype)
    here = _shown(problem)
    seen = tuple(fault for fault, shows in here.items() if shows and fault in possible)
    unseen = possible.difference(seen)
    missed: dict[str, str] = {}
    for reason, other, others_sizes in _repaired(draw, sizes, problem):
        if left := unseen.difference(missed):
            shown = _shown(problem_of(problem.recurrence, other, others_sizes))
            missed |= {fault: reason for fault in sorted(left) if shown.get(fault)}
    missed |= dict.fromkeys(sorted(unseen.difference(missed)), TOGETHER)
    return Sight(seen, missed, {})


def _drawn_from(problem: RecurrenceProblem) -> tuple[Draw, dict[str, int]]:
    made = problem.case.recurrence
    assert made is not None
    return Draw(**made["draw"]), dict(made["sizes"])


@cache
def _possible(recurrence: Recurrence, dtype: str) -> frozenset[str]:
    """Return the faults of a step that can occur."""
    shown = _shown(problem_of(recurrence, replace(HIDES_NOTHING, dtype=dtype), {}))
    return frozenset(fault for fault, shows in shown.items() if shows)


def _shown(problem: RecurrenceProblem) -> dict[str, bool]:
    return Explainer(problem, rounding_noise(problem)).shown()


def _repaired(
    draw: Draw, sizes: Mapping[str, int], problem: RecurrenceProblem
) -> Iterator[tuple[str, Draw, Mapping[str, int]]]:
    """Yield each property of a problem that may hide faults, and a draw and sizes without it."""
    whole = HIDES_NOTHING
    if draw.T == 1:
        yield "one step: nothing is carried back through time", replace(draw, T=whole.T), sizes
    elif whole.T > draw.T:
        yield f"{draw.T} steps", replace(draw, T=whole.T), sizes
    if draw.B == 1:
        yield "one sequence", replace(draw, B=whole.B), sizes
    if draw.upstream != whole.upstream:
        missing = "last states" if draw.upstream == "outputs alone" else "outputs"
        yield f"no gradient by the {missing}", replace(draw, upstream=whole.upstream), sizes
    if draw.state != whole.state:
        yield "initial states of zero", replace(draw, state=whole.state), sizes
    for name in draw.absent:
        left = tuple(each for each in draw.absent if each != name)
        yield f"{name} is absent", replace(draw, absent=left), sizes
    if draw.scale != whole.scale:
        yield f"inputs times {draw.scale:g}", replace(draw, scale=whole.scale), sizes
    for letter, size in sizes.items():
        if size == 1:
            yield f"{letter} is 1", draw, {**sizes, letter: problem.recurrence.sizes()[letter]}
    if any(size == 1 for size in sizes.values()):
        yield "sizes of 1", draw, {}
