"""pytest collects case files: one test for each case and implementation.

``cases/basic/tanh.yaml::torch`` compares torch with the baseline on that case; of a sweep,
``cases/basic/sizes.yaml::torch[dtype=float32,sizes.time=1]``.

The plugin is loaded wherever the harness is installed, even if the YAML files are another tool's, and even if the
project has a package ``harness`` of its own. So it is outside the package of that name, and it takes a file for a case
only if the project or the file states it:

    harness_cases = ["cases"]       an ini option: folders, below which every YAML file is a case
    # yaml-language-server: $schema=../case.schema.json
                                    a comment at the top of a file that lies below a folder ``cases``, or that is named
                                    on the command line; the path leads to our schema, under any name

Nothing of the harness but this module is imported until there is a case file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.case import ValidCase
    from harness.execution.session import CaseOutcome, Judgement
    from harness.implementations import Implementation

DEFAULT_BASELINE = "numpy-split"
MARKER = "harness_case"
MEANT = re.compile(r"\.ya?ml[\s.]*\Z", re.IGNORECASE)
"""The pattern of the end of a case file's name, as in ``harness.case``."""

SAYS_WHAT_IT_IS = re.compile(r"#\s*yaml-language-server:\s*\$schema=(?:file://)?(\S+)\s*")
TOP = 3
"""Maximum of lines of a file that are searched for that comment."""

TITLE = "A case of bptt-harness"
"""The title of our schema, as in ``harness.case.json_schema``."""

MOST_BYTES = 2**22
"""Maximum bytes of a schema; a larger file is not ours."""
WHOLE_FILES = "harness_whole_files"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addini("harness_cases", "folders whose YAML files are cases of the harness", type="args", default=[])
    group = parser.getgroup("harness", "gradient comparison")
    group.addoption("--harness-impl", metavar="A,B", help="compare only these implementations")
    group.addoption("--harness-baseline", default=DEFAULT_BASELINE, metavar="N", help="the baseline")
    group.addoption("--harness-no-cache", action="store_true", help="compute everything anew")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker of the case tests, and check that the folders exist."""
    config.addinivalue_line("markers", f"{MARKER}: one implementation on one case of the harness")
    for folder in config.getini("harness_cases"):
        if not (config.rootpath / folder).is_dir():
            raise pytest.UsageError(f"harness_cases names {folder!r}, but {config.rootpath} has no such folder")
    if config.getoption("--harness-impl") is not None or config.getoption("--harness-baseline") != DEFAULT_BASELINE:
        _comparing(config)  # so that a wrong name is one message before anything is collected


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Send a process of pytest-xdist the answer whether it receives whole files."""
    node.workerinput[WHOLE_FILES] = node.config.getoption("dist") == "loadfile"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a case file."""
    if not MEANT.search(file_path.name):
        return None
    if _is_listed(file_path, parent.config) or _says_so(file_path, parent.config):
        return CaseFileCollector.from_parent(parent, path=file_path)
    return None


def _is_listed(path: Path, config: pytest.Config) -> bool:
    """Return True for a file below a folder that the project lists."""
    return any(path.is_relative_to(config.rootpath / folder) for folder in config.getini("harness_cases"))


def _says_so(path: Path, config: pytest.Config) -> bool:
    """Return True for a file that states at its top that it is a case, and lies below ``cases`` or is named."""
    named = (config.invocation_params.dir / str(argument).partition("::")[0] for argument in config.args)
    if "cases" not in path.relative_to(path.anchor).parts[:-1] and path not in named:
        return False
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            said = [SAYS_WHAT_IT_IS.fullmatch(line) for line in islice(file, TOP)]
    except OSError:
        return False  # an unreadable file is no case
    return any(_is_our_schema(path.parent / found[1]) for found in said if found)


@lru_cache
def _is_our_schema(path: Path) -> bool:
    """Return True for a file that is the schema of our cases, and not another project's of the same name."""
    try:
        with path.open("rb") as file:
            schema = json.loads(file.read(MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return False  # another project's file may be missing, or not JSON
    return isinstance(schema, dict) and schema.get("title") == TITLE


class CaseFileCollector(pytest.File):
    """A case file; its tests are the pairs of a case and an implementation."""

    def collect(self) -> Iterator[pytest.Item]:
        """Read the file and yield its tests."""
        from harness.case import CaseFile, read, root_of
        from harness.execution.session import chosen_for
        from harness.implementations import implementations
        from harness.terminal import printable

        file = CaseFile(self.path, root_of(self.path))
        loaded = read(file, implementations())
        if loaded.mistakes:
            raise self.CollectError(printable("\n".join(map(str, loaded.mistakes))))
        comparing = _comparing(self.config)
        for case in loaded.cases:
            combination = case.name.removeprefix(file.name)
            for each in chosen_for(case, comparing.asked, comparing.baseline)[1:]:
                yield CaseTest.from_parent(
                    self, name=printable(each.name + combination), case=case, implementation=each
                )


class CaseTest(pytest.Item):
    """One implementation against the baseline on one case."""

    def __init__(self, *, case: ValidCase, implementation: Implementation, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case
        self.implementation = implementation
        self.add_marker(MARKER)

    def runtest(self) -> None:
        """Run the implementation and compare."""
        from harness.terminal import printable

        judged, outcome = _comparing(self.config).judged(self)
        if judged.verdict == "unsupported":
            pytest.skip(printable(judged.reason))
        if self.case.expect == "mismatch" and judged.verdict == "match":
            # A documented mismatch may be another implementation's; the case fails if no implementation has it.
            if not outcome.as_expected:
                raise DisagreementFound(printable(f"{self.case.name}: {outcome.surprise}"))
        elif judged.verdict != self.case.expect:
            raise DisagreementFound(printable(_explained(judged, outcome)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show a disagreement by its message, anything else with its traceback."""
        if isinstance(excinfo.value, DisagreementFound):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the place of the test."""
        from harness.terminal import printable

        return self.path, None, printable(f"{self.case.name} {self.implementation.name}")


class DisagreementFound(AssertionError):
    """An implementation disagrees with the baseline, or failed."""


def _explained(judged: Judgement, outcome: CaseOutcome) -> str:
    from harness.casefile.typed import called, quoted, word

    name, case = judged.implementation, outcome.case
    lines = [f"{case.name}: {name} against {outcome.baseline}: {judged.comparison or judged.reason}"]
    if judged.detail:
        lines.append(judged.detail.rstrip())
    lines += [f"diagnosis: {each}" for each in judged.diagnoses[:1]]
    options = f"--impl {word(name)} --baseline {word(outcome.baseline)} --elements all"
    command = called("harness run", quoted(case.name), options)
    return "\n".join([*lines, "", f"to see every element: {command}"])


class Comparing:
    """The common parts of the case tests of one pytest process: the frameworks' processes, and the last case."""

    def __init__(self, config: pytest.Config) -> None:
        from harness.casefile import nearest
        from harness.execution.processes import AnswerCache, Workers
        from harness.execution.session import Examiner, not_here
        from harness.implementations import implementations

        there = implementations()
        named = config.getoption("--harness-impl")
        baseline = config.getoption("--harness-baseline")
        by_name = [*(named.split(",") if named is not None else []), baseline]
        for name in by_name:
            if name not in there:
                hint = nearest(name, there) or f"there are {', '.join(there)}"
                raise pytest.UsageError(f"there is no implementation {name!r}; {hint}")
        if missing := not_here([there[name] for name in by_name]):
            raise pytest.UsageError("\n".join(missing))
        self.asked = [there[name].asked_for() for name in by_name[:-1]] or list(there.values())
        self.baseline = there[baseline]
        self.workers = Workers(AnswerCache(anew=config.getoption("--harness-no-cache")))
        self.examiner = Examiner(self.workers)
        # Under xdist the tests of a case may go to several processes, and each runs only what it is given; unless it
        # distributes whole files.
        self.is_alone = getattr(config, "workerinput", {WHOLE_FILES: True})[WHOLE_FILES]
        self.selected: dict[str, list[Implementation]] = {}
        self._last: tuple[object, CaseOutcome] | None = None

    def start(self, tests: list[CaseTest]) -> None:
        """Begin to start the frameworks that the selected tests need; return at once."""
        from harness.execution.session import frameworks_for

        for test in tests:
            self.selected.setdefault(test.case.name, []).append(test.implementation)
        needed = {
            framework.name: framework
            for test in tests
            for framework in frameworks_for([test.case], [test.implementation], self.baseline)
        }
        self.workers.start(needed.values())

    def judged(self, test: CaseTest) -> tuple[Judgement, CaseOutcome]:
        """Return the judgement of a test's implementation, and the outcome of its case."""
        from concurrent.futures import ThreadPoolExecutor

        from harness.execution.session import baseline_for, run_case

        together = self.is_alone or test.case.expect == "mismatch"
        beside = self.selected[test.case.name] if together else [test.implementation]
        key = (test.case.name, test.case.file, tuple(each.name for each in beside))
        if self._last is None or self._last[0] != key:
            with ThreadPoolExecutor() as calls:
                asked = [baseline_for(test.case, self.baseline), *beside]
                outcome = run_case(test.case, asked, self.workers, calls, "none")
                self._last = key, self.examiner.examined(outcome)
        outcome = self._last[1]
        return next(each for each in outcome.judged if each.implementation == test.implementation.name), outcome


_STASHED = pytest.StashKey[Comparing]()


def _comparing(config: pytest.Config) -> Comparing:
    if _STASHED not in config.stash:
        config.stash[_STASHED] = Comparing(config)
    return config.stash[_STASHED]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the frameworks side by side, while other tests run."""
    tests = [item for item in session.items if isinstance(item, CaseTest)]
    if tests and not session.config.option.collectonly:
        _comparing(session.config).start(tests)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the frameworks' processes."""
    if _STASHED in config.stash:
        config.stash[_STASHED].workers.end()
