"""The order of a mutant's tests: those that reach it; those that killed similar mutants come first."""

from __future__ import annotations

from collections import defaultdict

from benchmarks.mutation.mutants import Mutant
from benchmarks.mutation.reach import LinesReached

REMEMBERED = 6
"""Number of tests that killed mutants of a module and that come first for another function."""


class Order:
    """The tests of one module's mutants.

    Tests that killed a mutant of the same function come first, the latest one before the others. Then come the quickest
    parameters of every test, then the second quickest, and so on. So a few seconds have a part of each test.

    Args:
        path: The path of the module.
        reached: The lines that the tests reach.
        budget: Seconds of tests for each mutant; a test that does not fit is skipped for shorter ones.
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
        """Return the tests for a mutant in a function; none if no test calls the function."""
        return self._first(mutant, self._reaching(*mutant.statement) or self._reaching(*mutant.around))

    def of_import(self, mutant: Mutant) -> list[str]:
        """Return the tests for a mutant that takes effect on import; any test may read a constant."""
        return self._first(mutant, self.all)

    def of_module(self) -> list[str]:
        """Return tests for the module as a whole."""
        return self._within([test for test in self.all if self.lines[test]])

    def killed(self, mutant: Mutant, test: str) -> None:
        """Note the test that killed a mutant."""
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
