"""Which faults are worth trying in pairs, and whether it matters which of the two comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from numpy import ndarray

from harness.diagnosis.committing import overridden
from harness.diagnosis.faults import Suspect
from harness.diagnosis.predictions import Prediction

MOST_FIRST = 24

SCALED = ("upstream-scaled", "loss-scaled")
"""Faults that only scale what others make: with another, the factor is solved for and not searched."""


def pivot_of(off: tuple[str, ...], candidates: list[Prediction]) -> str:
    """Return the tensor that is off and that the fewest faults touch."""
    return min(off, key=lambda name: sum(name in each.changed for each in candidates))


def worth_pairing(
    off: tuple[str, ...], candidates: list[Prediction], pivot: str, fits: Callable[[str, ndarray], float | None]
) -> Iterator[tuple[Suspect, Suspect]]:
    """Yield the pairs that can explain the pivot.

    If one fault explains it, any other may be the second. If none does, both must touch it.

    Args:
        off: the tensors that are off.
        candidates: what each fault would make, of the faults that are possible.
        pivot: one of the tensors.
        fits: returns the residual if a prediction of a tensor agrees with the numbers.
    """
    in_order = sorted(candidates, key=lambda c: (c.suspects[0].layer is not None, c.suspects[0].fault.unlikely))
    touching = [c for c in in_order if pivot in c.changed and c.suspects[0].name not in SCALED]
    alone = [c for c in in_order if pivot in c.changed and fits(pivot, c.changed[pivot]) is not None]
    wanted = set(off)
    for first in alone[:MOST_FIRST]:
        for second in in_order:
            if second is not first and wanted <= first.changed.keys() | second.changed.keys():
                yield from _if_different(first, second)
    for i, second in enumerate(touching):
        for first in touching[:i]:
            if first not in alone and second not in alone:
                yield from _if_different(first, second)


def orders(a: Suspect, b: Suspect) -> tuple[tuple[Suspect, Suspect], ...]:
    """Return both orders of two faults that override the same method, else one."""
    return ((a, b), (b, a)) if overridden(a.fault) & overridden(b.fault) else ((a, b),)


def _if_different(first: Prediction, second: Prediction) -> Iterator[tuple[Suspect, Suspect]]:
    a, b = first.suspects[0], second.suspects[0]
    if a.name != b.name:
        yield a, b
