"""Fixtures of several folders: the repository's own places, and a command line that knows faulty implementations."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from harness.bench.contestants import contestants
from harness.cli import main
from harness.implementations import implementations
from tests.selection import mark_full

ROOT = Path(__file__).parent.parent
FAULTY = Path(__file__).parent / "faulty"
NO_FRAMEWORKS = Path(__file__).parent / "no_frameworks"

SMALL_CASE = """\
about: Small, and hides nothing.
layers: 2
sizes: {batch: 2, time: 3, input: 4, hidden: 5}
weights: {uniform: [-0.9, 0.9], seed: 1}
inputs: {normal: 1.0, seed: 2}
initial_state: {normal: 0.5, seed: 3}
loss: {kind: dot}
upstream: {normal: 1.0, seed: 4}
"""

Harness = Callable[..., subprocess.CompletedProcess[str]]


def same_everywhere(text: str, folder: Path) -> str:
    """Return a text for a snapshot: without folder, memory, seconds, rounding errors and widths of columns."""
    text = text.replace(str(folder), "FOLDER")
    text = re.sub(r"this machine has [\d.,]+ GiB", "this machine has MEMORY", text)
    text = re.sub(r" +$|(?<=\S) +(?= )", "", text.replace("─", ""), flags=re.MULTILINE)
    text = re.sub(r"\d+(\.\d+)?(?= s\b| seconds)", "SECONDS", text)
    return re.sub(r"-?\d\.\d+e[+-]\d+|-?\d+\.\d{2,}|\d+\.\de-\d+|\de-\d+", "NUMBER", text)


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_is_heard() -> None:
    """Restore Ctrl-C: a background process of a shell ignores it, and so would those that the tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _a_cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what tests compute apart from what the user's runs do; tests share it, as runs do."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path_factory.getbasetemp() / "harness-cache"))


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with one small case in ``cases/small.yaml``."""
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "small.yaml").write_text(SMALL_CASE)
    return tmp_path


@pytest.fixture
def harness(workplace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Harness:
    """Run the command line in the workplace and in this process, with the faulty implementations on offer."""

    def run(*arguments: str, faulty: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        with monkeypatch.context() as patch:
            patch.chdir(workplace)
            for name, value in environment.items():
                patch.setenv(name, value)
            if faulty:
                patch.syspath_prepend(FAULTY)
                path = os.environ.get("PYTHONPATH", "").split(os.pathsep)  # which the frameworks' processes inherit
                patch.setenv("PYTHONPATH", os.pathsep.join([str(FAULTY), str(ROOT), *path]))
            _forget_what_is_offered()
            with pytest.raises(SystemExit) as ended:
                main(list(arguments))
        _forget_what_is_offered()
        return subprocess.CompletedProcess(arguments, ended.value.code, *capfd.readouterr())

    return run


def _forget_what_is_offered() -> None:
    """Have what packages offer by entry points looked up again."""
    implementations.cache_clear()
    contestants.cache_clear()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that need a framework's process last, in the order in which they stand."""
    mark_full(items)
    items.sort(key=lambda item: any(item.get_closest_marker(name) for name in ("framework", "harness_case")))


@cache
def _modules_of_all_frameworks() -> tuple[str, ...]:
    return tuple(sorted({module for each in implementations().values() for module in each.framework.modules}))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose frameworks are not all installed, and say which are missing."""
    for marker in item.iter_markers("framework"):
        needed = marker.args or _modules_of_all_frameworks()
        missing = [module for module in needed if importlib.util.find_spec(module) is None]
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)}")
