"""Explanations in the making: the parts that settle some tensors, and the ways to settle all of them with few parts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from harness.diagnosis.faults import Suspect

MOST_WAYS = 16


@dataclass(frozen=True, eq=False)
class Part:
    """One fault of an explanation.

    Attributes:
        fault: its name.
        text: what it is, in words.
        tensors: the tensors that it acts on; empty if it acts on what they are computed from.
        fitted: how many numbers were fitted.
        unlikely: how much rarer than others it is.
        declare: what a case would say if this is what was meant.
        breadth: how many tensors it changes, those that were not returned among them.
        suspect: the fault of the catalogue, if it is one of backpropagation.
    """

    fault: str
    text: str
    tensors: tuple[str, ...] = ()
    fitted: int = 0
    unlikely: float = 1
    declare: str = ""
    breadth: int = 1
    suspect: Suspect | None = None

    def of(self, tensors: tuple[str, ...]) -> Part:
        """Return the part as it acts on these tensors; on none of its own if it acts on what they come from."""
        if not self.tensors:
            return self
        # The same fault of several tensors has more likely been made once, in what they are computed from.
        unlikely = self.unlikely + (1 if len(tensors) > 1 else 0)
        return replace(self, tensors=tensors, unlikely=unlikely, breadth=len(tensors))


@dataclass(frozen=True, eq=False)
class Option:
    """A part that settles some tensors, with the residual that it leaves in each."""

    part: Part
    residuals: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Faults that together agree with everything that was returned.

    Attributes:
        parts: the faults.
        residuals: by tensor that is off.
    """

    parts: tuple[Part, ...]
    residuals: Mapping[str, float]

    @property
    def order(self) -> tuple[float, ...]:
        """What they are ranked by: the fewest faults, nothing fitted, the likeliest, the narrowest, the best fit,
        what a case can declare.
        """
        worst = max(self.residuals.values(), default=0.0)
        return (
            len(self.parts),
            sum(part.fitted for part in self.parts),
            sum(part.unlikely for part in self.parts),
            sum(part.breadth for part in self.parts),
            math.floor(math.log10(max(worst, 1e-30))),
            not all(part.declare for part in self.parts),
        )

    @property
    def suspects(self) -> tuple[Suspect, ...]:
        """The faults of backpropagation among the parts."""
        return tuple(part.suspect for part in self.parts if part.suspect is not None)


def coverings(tensors: list[str], options: list[Option], most: int) -> Iterator[list[Option]]:
    """Yield ways to settle all tensors with the fewest options, at most ``most`` of them; what settles more first."""
    wanted = frozenset(tensors)
    useful = sorted(
        (option for option in options if option.residuals),
        key=lambda option: (-len(option.residuals), option.part.fitted, option.part.unlikely),
    )
    for count in range(1, most + 1):
        found = list(islice(_coverings(wanted, useful, count), MOST_WAYS))
        if found:
            yield from found
            return


def _coverings(wanted: frozenset[str], options: list[Option], count: int) -> Iterator[list[Option]]:
    if not wanted:
        yield []
        return
    if count == 0:
        return
    # The first tensor must be settled by one of the options that settle it.
    first = min(wanted)
    for option in options:
        if first in option.residuals:
            for others in _coverings(wanted - option.residuals.keys(), options, count - 1):
                yield [option, *others]
