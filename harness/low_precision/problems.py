"""Problems for an implementation in low precision: many elements, so that the roundings of a tensor average out."""

from __future__ import annotations

from collections.abc import Mapping

from harness.case.recurrent import Draw
from harness.precision.formats import Rounds
from harness.problem.recurrent import RecurrenceProblem, problem_of
from harness.recurrences import Recurrence

SEEDS = 24
"""Number of problems."""

WIDER = 4
"""Factor of the sizes that a recurrence's letters have by default."""


def problems(
    recurrence: Recurrence,
    rounds: Rounds,
    sizes: Mapping[str, int] | None = None,
    seed: int = 0,
    count: int = SEEDS,
) -> list[RecurrenceProblem]:
    """Return problems of the same sizes, in float64, with numbers that the format of stored arrays has.

    Args:
        recurrence: the recurrence.
        rounds: where the implementation rounds.
        sizes: of letters, B and T; by default B is 8, T is 16, and the letters are four times their usual sizes.
        seed: of the first problem; the others follow.
        count: the number of problems.

    Raises:
        DeclarationError: if a size is not the recurrence's.
    """
    wanted = {"B": 8, "T": 16, **{letter: WIDER * size for letter, size in recurrence.sizes().items()}, **(sizes or {})}
    B, T = wanted.pop("B"), wanted.pop("T")
    drawn = (problem_of(recurrence, Draw(B=B, T=T, seed=seed + s), wanted) for s in range(count))
    return [each.mapped(rounds.stored.round) for each in drawn]
