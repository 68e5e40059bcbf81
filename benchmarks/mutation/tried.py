"""What became of the mutants of modules that have the same tests."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from benchmarks.mutation.mutants import Mutant
from benchmarks.mutation.targets import ROOT
from benchmarks.mutation.trial import (
    PATIENCE,
    PYTEST,
    Chosen,
    Exchanging,
    Outcome,
    chosen_tests,
    imported,
    prepare,
)

STARTING = 60.0
"""Seconds more for a mutant that begins with importing everything and collecting the tests."""


@dataclass(frozen=True)
class Tried:
    """A mutant and what became of it."""

    path: str
    line: int
    function: str
    before: str
    after: str
    verdict: str
    by: str
    seconds: float

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What a mutant is known by when lines have moved; some have the same."""
        return self.path, self.function, self.before, self.after


def try_all(tests: tuple[str, ...], found: list[Mutant], budget: float, out: Path | None) -> list[Tried]:
    """Try mutants on the quickest of some tests, as many as fit into a budget of seconds.

    Raises:
        RuntimeError: if the tests fail on the modules as they are, or do not notice one in which nothing works.
    """
    prepare()
    order = chosen_tests(list(tests), budget)
    limit = PATIENCE * budget + PATIENCE
    tried = []

    def tell(each: Mutant, outcome: Outcome) -> None:
        one = Tried(each.path, each.line, each.function, each.before, each.after, **asdict(outcome))
        tried.append(one)
        if out is not None:
            with out.open("a") as file:
                file.write(json.dumps(asdict(one)) + "\n")

    for each in found:
        if not each.function:
            tell(each, imported(ROOT, each.path, each.source, list(tests), order, limit + STARTING))
    inside = [each for each in found if each.function]
    chosen = Chosen(order)
    sources = [(each.path, each.source) for each in inside]
    loop = Exchanging(ROOT, chosen, sources, limit, lambda number, outcome: tell(inside[number], outcome))
    status = pytest.main([*PYTEST, *tests], plugins=[loop, chosen]) if inside else None
    if len(tried) < len(found):
        raise RuntimeError(f"only {len(tried)} of {len(found)} mutants were tried; pytest ended with {status!r}")
    return tried
