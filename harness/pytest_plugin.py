"""pytest collects case files: one test for each case and implementation.

``cases/basic/tanh.yaml::torch`` compares torch with the baseline on that case; of a sweep,
``cases/basic/sizes.yaml::torch[dtype=float32,sizes.time=1]``. Case files are those below the folders of the ini
option ``harness_cases``, ``cases`` unless set, and those named on the command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.case import Case
    from harness.implementations import Implementation
    from harness.session import CaseOutcome, Judged
    from harness.worker import Workers


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addini("harness_cases", "folders whose case files are collected", type="args", default=["cases"])
    group = parser.getgroup("harness", "gradient comparison")
    group.addoption("--harness-impl", metavar="A,B", help="compare only these implementations")
    group.addoption("--harness-baseline", default="numpy-split", metavar="N", help="what they are compared with")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a case file."""
    if file_path.suffix != ".yaml":
        return None
    config = parent.config
    folders = [config.rootpath / folder for folder in config.getini("harness_cases")]
    named = [config.invocation_params.dir / str(argument).partition("::")[0] for argument in config.args]
    if any(file_path.is_relative_to(folder) for folder in folders) or file_path in named:
        return CaseFileCollector.from_parent(parent, path=file_path)
    return None


class CaseFileCollector(pytest.File):
    """A case file; its tests are the pairs of a case and an implementation."""

    def collect(self) -> Iterator[pytest.Item]:
        """Read the file and yield its tests."""
        from harness.case import CaseFile, read, root_of
        from harness.implementations import implementations

        file = CaseFile(self.path, root_of(self.path))
        loaded = read(file, implementations())
        if loaded.mistakes:
            raise self.CollectError("\n".join(map(str, loaded.mistakes)))
        asked, baseline = self.config.stash[_session].asked, self.config.stash[_session].baseline
        for case in loaded.cases:
            combination = case.name.removeprefix(file.name)
            for each in asked:
                if each != baseline and (case.implementations is None or each.name in case.implementations):
                    yield CaseTest.from_parent(self, name=each.name + combination, case=case, implementation=each)


class CaseTest(pytest.Item):
    """One implementation against the baseline on one case."""

    def __init__(self, *, case: Case, implementation: Implementation, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case
        self.implementation = implementation
        self.add_marker("framework")

    def runtest(self) -> None:
        """Run the implementation and compare."""
        judged, outcome = self.config.stash[_session].judged(self)
        if judged.verdict == "unsupported":
            pytest.skip(judged.reason)
        expected = self.case.expect
        if expected == "mismatch" and judged.verdict == "match":
            # Another implementation may be the one that disagrees; the case fails if none does.
            if outcome.as_expected:
                return
            raise Disagreement(f"{self.case.name}: {outcome.surprise}")
        if judged.verdict != expected:
            raise Disagreement(_explained(judged, outcome))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show a disagreement as what it says, anything else with its traceback."""
        if isinstance(excinfo.value, Disagreement):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Say where the test is from."""
        return self.path, None, f"{self.case.name} {self.implementation.name}"


class Disagreement(AssertionError):
    """An implementation disagrees with the baseline, or failed."""


def _explained(judged: Judged, outcome: CaseOutcome) -> str:
    name = judged.implementation
    lines = [f"{outcome.case.name}: {name} against {outcome.baseline}: {judged.comparison or judged.reason}"]
    if judged.detail:
        lines.append(judged.detail.rstrip())
    lines.append(f"\nto see more: harness run '{outcome.case.file}' --impl {name} --baseline {outcome.baseline} --elements all")
    return "\n".join(lines)


class _Session:
    """What the case tests of one pytest process share: the frameworks' processes and the case last run."""

    def __init__(self, config: pytest.Config) -> None:
        from harness.implementations import implementations
        from harness.session import not_installed

        there = implementations()
        names = config.getoption("--harness-impl")
        baseline = config.getoption("--harness-baseline")
        wanted = names.split(",") if names else list(there)
        for name in [*wanted, baseline]:
            if name not in there:
                raise pytest.UsageError(f"there is no implementation {name!r}; there are {', '.join(there)}")
        self.asked = [there[name] for name in wanted]
        self.baseline = there[baseline]
        asked_by_name = [there[name] for name in (names.split(",") if names else [])]
        if missing := not_installed([*asked_by_name, self.baseline]):
            raise pytest.UsageError("\n".join(missing))
        self._workers: Workers | None = None
        self._last: CaseOutcome | None = None
        self.tests: list[CaseTest] = []

    def start(self, tests: list[CaseTest]) -> None:
        """Begin to start the frameworks that the selected tests need."""
        from harness.session import frameworks_for
        from harness.worker import Workers

        self.tests = tests
        self._workers = Workers()
        needed = {
            framework.name: framework
            for test in tests
            for framework in frameworks_for([test.case], [test.implementation], self.baseline)
        }
        self._workers.start(needed.values())

    def judged(self, test: CaseTest) -> tuple[Judged, CaseOutcome]:
        """Return how a test's implementation did, and its case's outcome with every implementation selected."""
        from concurrent.futures import ThreadPoolExecutor

        from harness.session import run_case

        assert self._workers is not None
        if self._last is None or self._last.case != test.case:
            beside = [each.implementation for each in self.tests if each.case == test.case]
            with ThreadPoolExecutor() as calls:
                self._last = run_case(test.case, [self.baseline, *beside], self._workers, calls, "none")
        name = test.implementation.name
        return next(each for each in self._last.judged if each.implementation == name), self._last

    def end(self) -> None:
        """End the processes."""
        if self._workers is not None:
            self._workers.end()


_session = pytest.StashKey[_Session]()


def pytest_configure(config: pytest.Config) -> None:
    """Set up what the case tests share."""
    config.addinivalue_line("markers", "framework: needs a framework's process")
    config.stash[_session] = _Session(config)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the frameworks side by side, while other tests run."""
    tests = [item for item in session.items if isinstance(item, CaseTest)]
    if tests and not session.config.option.collectonly:
        session.config.stash[_session].start(tests)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the frameworks' processes."""
    if _session in config.stash:
        config.stash[_session].end()
