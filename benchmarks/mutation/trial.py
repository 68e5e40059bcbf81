"""The trial of a module's mutants: each runs in a fork, in which tests run until the first failure.

A mutant in a function replaces the function's code in a fork of a process that has collected the tests already. The
function stays the same object, so every import of it has the mutant. A mutant outside of functions is imported in place
of the module, by a fork that has imported none of our modules yet. So is a mutant of a function that runs only during
imports.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks.mutation.exchange import all_caches, exchange, functions, spoil
from benchmarks.mutation.forks import ForkOutcome, in_a_fork, within_seconds_of_work
from benchmarks.mutation.mutants import Mutant
from benchmarks.mutation.order import Order
from benchmarks.mutation.running import PYTEST, Watching

PATIENCE = 4.0
"""Maximum time of a mutant in a test, as a multiple of the right version's, and as many seconds more."""
LONGEST = 600.0
"""Maximum seconds of a mutant by the clock."""


class _Instead(MetaPathFinder, Loader):
    """An importer of one module with another source."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source, self.used = name, path, source, False

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find the module, as a package if its file is that of a package."""
        del path, target
        if fullname != self.name:
            return None
        inside = [str(self.path.parent)] if self.path.name == "__init__.py" else None
        return spec_from_file_location(fullname, self.path, loader=self, submodule_search_locations=inside)

    def exec_module(self, module: ModuleType) -> None:
        """Run the other source."""
        self.used = True
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


def name_of(path: str) -> str:
    """Return the dotted name of the module in a file."""
    parts = Path(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(root: Path, mutant: Mutant, order: Order) -> ForkOutcome:
    """Try a mutant that is imported in place of its module, on one file of tests after the other.

    Raises:
        RuntimeError: If no test imports the module.
    """
    by_file: dict[str, list[str]] = {}
    for test in order.of_import(mutant):
        by_file.setdefault(test.partition("::")[0], []).append(test)
    used, seconds = False, 0.0
    for file, tests in by_file.items():
        outcome = _imported(root, mutant, file, tests)
        seconds += outcome.seconds
        used |= outcome.verdict != "not imported"
        if outcome.verdict in ("killed", "timeout"):
            return ForkOutcome(outcome.verdict, outcome.by, seconds)
    if not used:
        raise RuntimeError(f"{mutant.path} is not imported by {', '.join(by_file)}")
    return ForkOutcome("survived", "", seconds)


def _imported(root: Path, mutant: Mutant, file: str, tests: list[str]) -> ForkOutcome:
    instead, watching = _Instead(name_of(mutant.path), root / mutant.path, mutant.source), Watching(tests)

    def whole() -> tuple[str, str]:
        sys.meta_path.insert(0, instead)
        status = pytest.main([*PYTEST, f"--rootdir={root}", str(root / file)], plugins=[watching])
        if status == pytest.ExitCode.OK:
            return ("survived" if instead.used else "not imported"), ""
        return "killed", watching.by or f"pytest ended with {status!r}"

    return in_a_fork(whole, LONGEST)


class Exchanging:
    """A plugin of pytest that, once the tests are collected, tries mutants of functions of a module in forks.

    Args:
        root: The root of the repository.
        path: The path of the module's file, from the root.
        watching: The plugin that notes failures.
        found: The mutants.
        order: The order of the tests.
        note: A function that receives each mutant and its outcome.
    """

    def __init__(
        self,
        root: Path,
        path: str,
        watching: Watching,
        found: list[Mutant],
        order: Order,
        note: Callable[[Mutant, ForkOutcome], None],
    ) -> None:
        self.root, self.path, self.watching, self.found, self.order, self.note = (
            root,
            path,
            watching,
            found,
            order,
            note,
        )
        self.items: dict[str, pytest.Item] = {}
        self.caches: list[Any] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try the unchanged module, then the module with functions that only raise an error, then all mutants.

        Raises:
            RuntimeError: If tests fail on the unchanged module, or do not notice that its functions only raise errors.
        """
        self.items = {item.nodeid: item for item in session.items}
        self.caches = all_caches()
        gc.freeze()  # the forks share this memory as long as no process writes to it
        module = import_module(name_of(self.path))
        if Path(str(module.__file__)) != self.root / self.path:
            raise RuntimeError(f"{module.__file__} is imported in place of {self.path}")
        original = (self.root / self.path).read_text()
        tests = self.order.of_module()
        right = self._outcome(lambda: exchange(module, original), tests)
        if right.verdict != "survived":
            raise RuntimeError(f"tests fail on the right version of {self.path}: {right.by}")
        if self._outcome(lambda: _spoil_all(module), tests).verdict != "killed":
            raise RuntimeError(f"no test notices that nothing in {self.path} works")
        for mutant in self.found:
            outcome = self._outcome(lambda mutant=mutant: exchange(module, mutant.source), self.order.of(mutant))
            if outcome.by in self.items:
                self.order.killed(mutant, outcome.by)
            self.note(mutant, outcome)
        return True

    def _outcome(self, change: Callable[[], None], tests: list[str]) -> ForkOutcome:
        def whole() -> tuple[str, str]:
            change()
            for cached in self.caches:
                cached.cache_clear()
            items = [self.items[test] for test in tests]
            for item, following in zip(items, [*items[1:], None], strict=True):
                within_seconds_of_work(PATIENCE * self.order.seconds[item.nodeid] + PATIENCE)
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if self.watching.by:
                    return "killed", self.watching.by
            return "survived", ""

        return in_a_fork(whole, LONGEST)


def _spoil_all(module: ModuleType) -> None:
    for _, function in functions(module):
        spoil(function)
