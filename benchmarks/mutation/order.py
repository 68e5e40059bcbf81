"""Which tests a mutant runs through: those that reach it, and first those that killed its like."""

from __future__ import annotations

from collections import defaultdict

from benchmarks.mutation.mutants import Mutant
from benchmarks.mutation.reach import LinesReached

REMEMBERED = 6
"""How many of the tests that killed mutants of a module before stand at the front for another function."""


class Order:
    """The tests of one module's mutants.

    A test that killed a mutant of the same function stands first, the last one before all others; then the quickest
    set of parameters of every test, then their second quickest, and so on: a few seconds hold something of each test.

    Args:
        path: of the module.
        reached: what the tests reach.
        budget: seconds of tests for each mutant. What does not fit is left out, and shorter ones taken.
    """

    def __init__(self, path: str, reached: list[LinesReached], budget: float) -> None:
        self.budget = budget
        self.seconds = {each.test: each.seconds for each in reached}
        self.lines = {each.test: frozenset(each.lines.get(path, [])) for each in reached}
        alike: dict[str, list[str]] = defaultdict(list)
        for test in sorted(self.seconds, key=self.seconds.__getitem__):
            alike[test.partition("[")[0]].append(test)
        rank = {test: place for tests in alike.values() for place, test in enumerate(tests)}
        self.all = sorted(self.seconds, key=lambda test: (rank[test], self.seconds[test]))
        self.killers: dict[str, list[str]] = defaultdict(list)

    def of(self, mutant: Mutant) -> list[str]:
        """Return the tests for a mutant inside of a function, none if no test calls the function."""
        return self._first(mutant, self._reaching(*mutant.statement) or self._reaching(*mutant.around))

    def of_import(self, mutant: Mutant) -> list[str]:
        """Return the tests for a mutant that is in force on import; any may read a constant."""
        return self._first(mutant, self.all)

    def of_module(self) -> list[str]:
        """Return tests for the module as a whole."""
        return self._within([test for test in self.all if self.lines[test]])

    def killed(self, mutant: Mutant, test: str) -> None:
        """Remember which test killed a mutant."""
        for place in (mutant.function, "any function"):
            if test in self.killers[place]:
                self.killers[place].remove(test)
            self.killers[place].insert(0, test)

    def _reaching(self, begin: int, end: int) -> list[str]:
        wanted = frozenset(range(begin, end + 1))
        return [test for test in self.all if self.lines[test] & wanted]

    def _first(self, mutant: Mutant, tests: list[str]) -> list[str]:
        among = set(tests)
        front = [*self.killers[mutant.function], *self.killers["any function"][:REMEMBERED]]
        return self._within(list(dict.fromkeys([*(test for test in front if test in among), *tests])))

    def _within(self, tests: list[str]) -> list[str]:
        chosen, spent = [], 0.0
        for test in tests:
            if spent + self.seconds[test] <= self.budget or not chosen:
                chosen.append(test)
                spent += self.seconds[test]
        return chosen
