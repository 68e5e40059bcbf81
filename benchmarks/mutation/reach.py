"""The time of each test, and the lines of our modules that it runs: no other test can notice a mutant of a line."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from coverage import Coverage

from benchmarks.mutation.exchange import all_caches
from benchmarks.mutation.forks import in_a_fork
from benchmarks.mutation.running import PYTEST, Watching, prepare

LONGEST = 1200.0
"""Maximum seconds for the tests of one file."""


@dataclass(frozen=True)
class LinesReached:
    """The lines that one test reaches.

    Attributes:
        test: The test's name in pytest.
        seconds: Seconds of computing, with its fixtures and the processes that it starts.
        lines: The numbers of the lines that run, by the path of the module.
    """

    test: str
    seconds: float
    lines: dict[str, list[int]]

    @property
    def file(self) -> str:
        """The path of the test's file, from the repository's root."""
        return self.test.partition("::")[0]


class _Tracing:
    """A plugin of pytest that runs each test by itself, and traces the lines of our modules that it runs."""

    def __init__(self, root: Path, paths: list[str]) -> None:
        self.root, self.paths = root, paths
        self.seconds: dict[str, float] = {}
        self.coverage = Coverage(data_file=None, config_file=False, include=[str(root / path) for path in paths])

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run all tests, each with caches and fixtures of its own, so that none relies on an earlier one."""
        caches = all_caches()
        self.coverage.start()
        for item in session.items:
            for cached in caches:
                cached.cache_clear()
            self.coverage.switch_context(item.nodeid)
            start = _seconds_of_work()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            self.seconds[item.nodeid] = _seconds_of_work() - start
        self.coverage.stop()
        return True

    def reached(self) -> list[LinesReached]:
        """Return the lines that the tests reached."""
        found: dict[str, dict[str, list[int]]] = {test: {} for test in self.seconds}
        data = self.coverage.get_data()
        for path in self.paths:
            for line, tests in data.contexts_by_lineno(str(self.root / path)).items():
                for test in tests:
                    if test:
                        found[test].setdefault(path, []).append(line)
        return [LinesReached(test, seconds, found[test]) for test, seconds in self.seconds.items()]


def _seconds_of_work() -> float:
    return sum(os.times()[:4])


def reach_of(root: Path, file: str, paths: list[str], traces: Path | None) -> list[LinesReached]:
    """Run the tests of a file on our unchanged modules, and return the lines of some modules that each reaches.

    Args:
        root: The root of the repository.
        file: The file of the tests.
        paths: The paths of the modules, from the root.
        traces: A folder that keeps the results until the tests or the modules change.

    Raises:
        RuntimeError: If a test fails.
    """
    kept = traces / f"{Path(file).stem}-{_digest(root, [file, *paths])}.json" if traces is not None else None
    if kept is not None and kept.exists():
        return [LinesReached(**each) for each in json.loads(kept.read_text())]
    prepare()
    watching = Watching()

    def whole() -> tuple[str, str]:
        tracing = _Tracing(root, paths)
        status = pytest.main([*PYTEST, f"--rootdir={root}", str(root / file)], plugins=[tracing, watching])
        if watching.by or status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return "killed", watching.by or str(status)
        return "survived", json.dumps([asdict(each) for each in tracing.reached()])

    outcome = in_a_fork(whole, LONGEST)
    if outcome.verdict != "survived":
        raise RuntimeError(f"tests fail on the right version: {outcome.by}")
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(outcome.by)
    return [LinesReached(**each) for each in json.loads(outcome.by)]


def _digest(root: Path, files: list[str]) -> str:
    sources = hashlib.sha256()
    for file in files:
        sources.update((root / file).read_bytes() + b"\0")
    return sources.hexdigest()[:16]
