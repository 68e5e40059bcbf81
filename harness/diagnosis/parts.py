"""Explanations in the making: the parts that settle some tensors, and the ways to settle all of them with few parts."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from numpy import ndarray

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
        chosen: what it takes to choose its numbers among simple ones, in bits.
        unlikely: how much rarer than others it is.
        declare: what a case would say if this is what was meant.
        breadth: how many tensors it changes, those that were not returned among them.
        suspect: the fault of the catalogue, if it is one of backpropagation.
        whole: whether the text is a whole sentence that names its tensors, all of which it is about.
    """

    fault: str
    text: str
    tensors: tuple[str, ...] = ()
    fitted: int = 0
    unlikely: float = 1
    declare: str = ""
    breadth: int = 1
    suspect: Suspect | None = None
    chosen: float = 0.0
    whole: bool = False

    def of(self, tensors: tuple[str, ...]) -> Part:
        """Return the part as it acts on these tensors; on none of its own if it acts on what they come from."""
        if not self.tensors or self.whole:
            return self
        # The same fault of several tensors has more likely been made once, in what they are computed from.
        unlikely = self.unlikely + (1 if len(tensors) > 1 else 0)
        return replace(self, tensors=tensors, unlikely=unlikely, breadth=len(tensors))


@dataclass(frozen=True, eq=False)
class Settled:
    """Faults that together settle some tensors.

    Attributes:
        parts: the faults.
        residuals: by tensor that they settle, what is left in it.
        telling: by tensor, which elements say more than their sign; all where a name is missing.
    """

    parts: tuple[Part, ...]
    residuals: Mapping[str, float]
    telling: Mapping[str, ndarray] = field(default_factory=dict)

    @property
    def part(self) -> Part:
        """The fault, if it is one."""
        (part,) = self.parts
        return part

    def of_its_tensors(self) -> Settled:
        """Return the same with its part as it acts on the tensors that it settles."""
        return replace(self, parts=(self.part.of(tuple(self.residuals)),))


@dataclass(frozen=True, eq=False)
class Explanation:
    """Faults that together agree with what was returned.

    Attributes:
        settled: what settles which tensors, each tensor once.
        open: the tensors that are off and that nothing settles.
    """

    settled: tuple[Settled, ...]
    open: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[Part, ...]:
        """The faults."""
        return tuple(part for each in self.settled for part in each.parts)

    @property
    def residuals(self) -> dict[str, float]:
        """By tensor that is settled, what is left in it."""
        return {name: residual for each in self.settled for name, residual in each.residuals.items()}

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


def coverings(tensors: Collection[str], options: list[Settled], most: int) -> Iterator[list[Settled]]:
    """Yield ways to settle all tensors with the fewest options, at most ``most`` of them; what settles more first."""
    wanted = frozenset(tensors)
    useful = sorted(
        (option for option in options if option.residuals),
        key=lambda option: (-len(option.residuals), option.part.fitted, option.part.unlikely),
    )
    for count in range(0 if not wanted else 1, most + 1):
        found = list(islice(_coverings(wanted, useful, count), MOST_WAYS))
        if found:
            yield from found
            return


def _coverings(wanted: frozenset[str], options: list[Settled], count: int) -> Iterator[list[Settled]]:
    if not wanted:
        yield []
        return
    if count == 0:
        return
    # The first tensor must be settled by one of the options that settle it.
    first = min(wanted)
    for option in options:
        if first in option.residuals:
            own = {name: residual for name, residual in option.residuals.items() if name in wanted}
            for others in _coverings(wanted - own.keys(), options, count - 1):
                yield [replace(option, residuals=own), *others]
