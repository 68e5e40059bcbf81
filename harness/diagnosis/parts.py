"""Explanations in the making: the parts that settle some tensors, and the combinations that settle all of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from numpy import ndarray

from harness.diagnosis.faults import Suspect

MOST_WAYS = 16


@dataclass(frozen=True, eq=False)
class ExplanationPart:
    """One fault of an explanation.

    Attributes:
        fault: its name.
        text: the fault in words.
        tensors: the tensors that it acts on; empty if it acts on their source.
        fitted: the number of fitted numbers.
        chosen: the bits that choose its numbers among simple ones.
        unlikely: its rarity among the faults.
        declare: the words by which a case declares it as intended.
        breadth: the number of tensors that it changes, including those that were not returned.
        suspect: the fault of the catalogue, if it is one of backpropagation.
        whole: whether the text is a whole sentence about all of its tensors.
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

    def of(self, tensors: tuple[str, ...]) -> ExplanationPart:
        """Return the part as it acts on these tensors; on no tensor of its own if it acts on their common source."""
        if not self.tensors or self.whole:
            return self
        # One fault of several tensors is more likely a fault of their common source.
        unlikely = self.unlikely + (1 if len(tensors) > 1 else 0)
        return replace(self, tensors=tensors, unlikely=unlikely, breadth=len(tensors))


@dataclass(frozen=True, eq=False)
class Settled:
    """Faults that together settle some tensors.

    Attributes:
        parts: the faults.
        residuals: the residual of each tensor that they settle.
        telling: by tensor, which elements give more than their sign; all if a name is missing.
    """

    parts: tuple[ExplanationPart, ...]
    residuals: Mapping[str, float]
    telling: Mapping[str, ndarray] = field(default_factory=dict)

    @property
    def part(self) -> ExplanationPart:
        """The fault, if it is one."""
        (part,) = self.parts
        return part

    def of_its_tensors(self) -> Settled:
        """Return the same with its part as it acts on the tensors that it settles."""
        return replace(self, parts=(self.part.of(tuple(self.residuals)),))


@dataclass(frozen=True, eq=False)
class Explanation:
    """Faults that together agree with the returned numbers.

    Attributes:
        settled: the parts that settle the tensors, each tensor once.
        open: the wrong tensors that nothing settles.
    """

    settled: tuple[Settled, ...]
    open: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[ExplanationPart, ...]:
        """The faults."""
        return tuple(part for each in self.settled for part in each.parts)

    @property
    def residuals(self) -> dict[str, float]:
        """The residual of each settled tensor."""
        return {name: residual for each in self.settled for name, residual in each.residuals.items()}

    @property
    def order(self) -> tuple[float, ...]:
        """The sort key: fewest faults, nothing fitted, the likeliest, the narrowest, the best fit, a declaration."""
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
    """Yield ways to settle all tensors with the fewest options, at most ``most``; larger options come first."""
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
