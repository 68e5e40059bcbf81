"""What tests in several folders need: the repository's own places, and a command line whose harness knows faulty
implementations."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from harness.implementations import implementations

ROOT = Path(__file__).parent.parent
FAULTY = Path(__file__).parent / "faulty"

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


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_is_heard() -> None:
    """What a shell begins in the background ignores Ctrl-C, and so would every process that the tests interrupt."""
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
def harness(workplace: Path) -> Harness:
    """Run the command line in the workplace, with the faulty implementations on offer."""

    def run(*arguments: str, faulty: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, **environment}
        if faulty:
            variables["PYTHONPATH"] = os.pathsep.join([str(FAULTY), str(ROOT)])
        return subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            cwd=workplace,
            env=variables,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that need a framework's process last, in the order in which they stand."""
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
