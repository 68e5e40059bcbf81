"""The outcomes of a module's mutants."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from benchmarks.mutation.forks import ForkOutcome
from benchmarks.mutation.mutants import Mutant, name_of_mutant
from benchmarks.mutation.order import Order
from benchmarks.mutation.reach import LinesReached
from benchmarks.mutation.running import PYTEST, Watching, prepare
from benchmarks.mutation.trial import Exchanging, imported


@dataclass(frozen=True)
class Tried:
    """A mutant and its outcome."""

    path: str
    line: int
    function: str
    before: str
    after: str
    nth: int
    verdict: str
    by: str
    seconds: float

    @property
    def name(self) -> str:
        """The name of the mutant, which does not depend on line numbers."""
        return name_of_mutant(self.path, self.function, self.before, self.after, self.nth)

    @property
    def survived(self) -> bool:
        """True if no test noticed it."""
        return self.verdict == "survived"


def tried_before(file: Path) -> Iterator[Tried]:
    """Read the outcomes of an earlier call; an incomplete last line of an interrupted one does not count."""
    for line in file.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            yield Tried(**json.loads(line))


def try_all(
    root: Path, path: str, found: list[Mutant], reached: list[LinesReached], budget: float, out: Path | None
) -> list[Tried]:
    """Try mutants of one module on the tests that reach them, as many as fit into a budget of seconds.

    Raises:
        RuntimeError: If the tests fail on the unchanged module, or do not notice that nothing in it works.
    """
    prepare()
    order = Order(path, reached, budget)
    tried = []

    def note(each: Mutant, outcome: ForkOutcome) -> None:
        one = Tried(each.path, each.line, each.function, each.before, each.after, each.nth, **asdict(outcome))
        tried.append(one)
        if out is not None:
            with out.open("a") as file:
                file.write(json.dumps(asdict(one)) + "\n")

    inside = [each for each in found if each.function and order.of(each)]
    by_call = {each.name for each in inside}
    for each in found:
        if each.name not in by_call:
            outcome = imported(root, each, order)
            if outcome.by in order.seconds:
                order.killed(each, outcome.by)
            note(each, outcome)
    if inside:
        files = dict.fromkeys(each.file for each in reached if path in each.lines)
        watching = Watching()
        loop = Exchanging(root, path, watching, inside, order, note)
        status = pytest.main(
            [*PYTEST, f"--rootdir={root}", *(str(root / file) for file in files)], plugins=[loop, watching]
        )
        if len(tried) < len(found):
            raise RuntimeError(f"only {len(tried)} of {len(found)} mutants were tried; pytest ended with {status!r}")
    return tried
