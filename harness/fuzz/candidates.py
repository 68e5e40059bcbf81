"""The implementations of a search, and random cases as the data that they were drawn as."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.case import ValidCase
from harness.case.validation import validated
from harness.casefile import Mistake
from harness.fuzz.drawing import Data, drawn
from harness.fuzz.source import FromSeed, Source
from harness.implementations import NUMPY, Framework, Implementation, implementations, initialisers, missing_modules

BY_DEFAULT = ("numpy", "torch")
"""The frameworks whose implementations are searched by default: those that answer quickly."""


class InvalidlyDrawn(RuntimeError):
    """A drawn case is not valid, which is a mistake of this package."""


@dataclass(frozen=True)
class Drawing:
    """The parameters that determine the cases of a search.

    Attributes:
        seed: The seed of the search.
        fixed: Fields with fixed values, such as ``{"cell": "lstm"}``.
        frameworks: The frameworks that a case's weights may come from.
    """

    seed: int
    fixed: Mapping[str, Any] = field(default_factory=dict)
    frameworks: Collection[str] = ()

    def choices(self, number: int) -> list[int]:
        """Return the choices of the case with a number."""
        source = FromSeed(self.seed, number)
        self.data(source)
        return source.made

    def data(self, source: Source) -> Data:
        """Draw the data of a case."""
        return drawn(source, self.fixed, self.frameworks)

    def of(self, number: int) -> ValidCase:
        """Return the case with a number."""
        return case_of(self.data(FromSeed(self.seed, number)), f"fuzz[seed={self.seed},case={number}]")


def case_of(data: Data, name: str) -> ValidCase:
    """Return the case of drawn data.

    Raises:
        InvalidlyDrawn: If the data are not valid.
    """

    def located(path: tuple[str | int, ...], problem: str, hint: str = "", *, at_key: bool = False) -> Mistake:
        del at_key
        return Mistake(name, None, None, path, problem, hint)

    case, mistakes = validated(data, name, Path(f"{name}.yaml"), located)
    if case is None:
        raise InvalidlyDrawn(f"{mistakes[0]}\n{data}")
    return case


def default_implementations() -> list[Implementation]:
    """Return the implementations of a search by default: those in NumPy or torch that claim to be right."""
    return [
        each
        for each in implementations().values()
        if each.framework.name in BY_DEFAULT and not (each.only_named or each.only_with)
    ]


def native_frameworks(chosen: Sequence[Implementation]) -> tuple[str, ...]:
    """Return the frameworks that make weights and whose processes run in any case."""
    there = {each.framework.name for each in chosen}
    makers = initialisers()
    return tuple(name for name in makers if name in there and not missing_modules(makers[name].framework))


def groups(chosen: Sequence[Implementation]) -> list[tuple[Framework, list[Implementation]]]:
    """Return the implementations by the framework whose process screens them.

    Those that need NumPy alone share the process of the first framework.
    """
    frameworks = {each.framework.name: each.framework for each in chosen if each.framework != NUMPY}
    first = next(iter(frameworks), NUMPY.name)
    if not frameworks:
        frameworks = {NUMPY.name: NUMPY}

    def home(implementation: Implementation) -> str:
        return first if implementation.framework == NUMPY else implementation.framework.name

    return [(each, [one for one in chosen if home(one) == name]) for name, each in frameworks.items()]
