"""Files checked side by side, each by a command in a process of its own, so that none can cost another its row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from harness.candidate.marking.files import is_about_a_recurrence
from harness.candidate.marking.mark import BROKEN, HANGS, Mark, of_check, without_result
from harness.execution.processes.launching import OPTIONS, this_harness

OF_EACH_CASE = 0.25
"""The share of a file's time that one case may take: the line where it hangs is found before the time is over."""

PATIENCE = 10.0
"""Seconds for a command to end after it is asked to."""

REPORTS = "files"
"""The folder of the reports, below that of the marks."""


@dataclass(frozen=True)
class Marking:
    """The question to each file.

    Attributes:
        folder: the folder of the files.
        of_networks: the cases of a file about networks, by name.
        of_recurrences: the cases of a file about a recurrence; empty for problems that are made for it.
        require_all: whether every gradient must be returned.
        limit: seconds that one file may take, all cases together.
        out: the folder of the marks.
    """

    folder: Path
    of_networks: Sequence[str]
    of_recurrences: Sequence[str]
    require_all: bool
    limit: float
    out: Path


def marked(files: Sequence[Path], asked: Marking, jobs: int) -> Iterator[Mark]:
    """Check files side by side; yield their marks in the order of the files.

    Args:
        files: the files.
        asked: what is asked of each.
        jobs: how many are checked at once.
    """
    threads = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="mark")
    try:
        yield from threads.map(lambda file: _marked(file, asked), files)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _marked(file: Path, asked: Marking) -> Mark:
    mark = _checked(file, asked)
    return replace(
        mark, reason=mark.reason.replace(str(file), mark.file), remarks=mark.remarks.replace(str(file), mark.file)
    )


def _checked(file: Path, asked: Marking) -> Mark:
    shown = file.relative_to(asked.folder).as_posix()
    report = Path(REPORTS, *file.relative_to(asked.folder).with_suffix("").parts)
    cases = asked.of_recurrences if is_about_a_recurrence(file) else asked.of_networks
    options = ["--json", "--limit", f"{OF_EACH_CASE * asked.limit:g}", "--out", str(asked.out / report)]
    options += ["--require-all"] if asked.require_all else []
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *OPTIONS, "-m", "harness", "check", *options, "--", str(file), *cases],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **this_harness()},
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            printed, said = process.communicate(timeout=asked.limit)
        except BaseException as error:  # the time is over, or Ctrl-C
            _end(process)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            reason = f"it did not end within {asked.limit:g} s"
            return without_result(shown, HANGS, reason, asked.limit, 3)
    seconds = time.perf_counter() - start
    try:
        found = json.loads(printed)
    except ValueError:
        return without_result(shown, BROKEN, _last_line(said), seconds, process.returncode)
    page = report / "index.html"
    return of_check(shown, found, seconds, page.as_posix() if (asked.out / page).is_file() else "")


def _end(process: subprocess.Popen[str]) -> None:
    """End a command; what it started ends with it."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("Error: ") if lines else "the check printed nothing"
