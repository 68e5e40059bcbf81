"""Kill harness runs, and the processes of their frameworks, at random moments; count the tries that survive.

    python -m benchmarks.crashes [TRIES [KIND ...]]     10 of each kind, or of those whose names have a KIND in them

A kill of the whole harness is survived if no process is left, and the old or the new report is there and whole. Then
``--resume`` must make the same report as an undisturbed run, except for timings. A kill of one framework's process is
survived if the report is there and every row of the other frameworks is that of an undisturbed run. Only the rows that
were being computed may be errors, with the reason.
"""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from harness.report import NotAReport, read

CASES = """\
about: Killed again and again.
layers: 2
sizes: {batch: 2, time: 60, input: 4, hidden: 5}
weights: {uniform: [-0.5, 0.5], seed: 1}
initial_state: {normal: 0.5, seed: 3}
loss: {kind: dot}
upstream: {normal: 1.0, seed: 4}
sweep: {inputs: [%s], dtype: [float32, float64]}
""" % ", ".join(f"{{normal: 1.0, seed: {seed}}}" for seed in range(10))  # noqa: UP031 - braces are YAML's

IMPLEMENTATIONS = "numpy-concat,complex-step,torch,torch-cell"
SCRIPT = """\
print("begun", flush=True)
from harness.cli import main
main()
"""
"""The ``harness`` command of an installation, which also prints a line when Python has started."""

TIMINGS = {"seconds", "since"}
OF_TORCH = {"torch", "torch-cell"}
Tables = dict[str, list[dict[str, str]]]


def tables(report: Path) -> Tables:
    """Return the rows of a report without timings."""
    read(report)
    found = {}
    for path in sorted(report.glob("*.csv")):
        with path.open(newline="") as file:
            found[path.name] = [{k: v for k, v in row.items() if k not in TIMINGS} for row in csv.DictReader(file)]
    return found


class CrashPlace:
    """A folder with cases, a cache of its own and, if given, an earlier report."""

    def __init__(self, folder: Path, before: Path | None) -> None:
        self.folder = folder
        self.report = folder / "reports" / "latest"
        (folder / "cases").mkdir()
        (folder / "cases" / "killed.yaml").write_text(CASES)
        if before is not None:
            shutil.copytree(before, self.report)

    def begin(self, *options: str) -> subprocess.Popen[str]:
        """Start a run; return when its first line of Python is executed."""
        command = [sys.executable, "-c", SCRIPT, "run", *options]
        environment = {**os.environ, "HARNESS_CACHE": str(self.folder / "cache")}
        running = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        return running

    def run(self, *options: str) -> tuple[int, str]:
        """Run to the end; return the exit status and the output."""
        running = self.begin(*options)
        said, complained = running.communicate(timeout=300)
        return running.returncode, said + complained

    def left_behind(self) -> list[str]:
        """Return the files beside the report that do not belong to it."""
        return [each.name for each in self.report.parent.iterdir() if each != self.report]


@contextmanager
def place(before: Path | None) -> Iterator[CrashPlace]:
    """Make a place, and remove it afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield CrashPlace(Path(folder), before)


def alive(pids: list[int]) -> list[int]:
    """Return the processes that are still running."""
    deadline = time.monotonic() + 5
    while (left := [pid for pid in pids if _runs(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def whole_run(
    how: signal.Signals,
    undisturbed: Path,
    seconds: float,
    draw: random.Random,
    *,
    window: tuple[float, float] | None = None,
    times: int = 1,
) -> str:
    """Kill a whole harness; return the damage, empty if there is none.

    Args:
        how: The signal.
        undisturbed: The report of an undisturbed run.
        seconds: The seconds of that run.
        draw: The source of the moments.
        window: The seconds between which the signal is sent; by default from 0.05 to the end of the run.
        times: The number of signals, within a tenth of a second each.
    """
    before = undisturbed if draw.random() < 0.5 else None
    with place(before) as there:
        running = there.begin("--impl", IMPLEMENTATIONS)
        time.sleep(draw.uniform(*(window or (0.05, seconds))))
        family = [each.pid for each in psutil.Process(running.pid).children(recursive=True)]
        running.send_signal(how)
        for _ in range(times - 1):
            time.sleep(draw.uniform(0, 0.1))
            running.send_signal(how)
        _, said = running.communicate(timeout=60)
        if left := alive(family):
            return f"processes {left} are left"
        if "Traceback" in said:
            return said
        finished = running.returncode == 0
        if how == signal.SIGINT and running.returncode not in (0, 130):
            return f"ended with {running.returncode}: {said}"
        try:
            if (before is not None or finished) and tables(there.report) != tables(undisturbed):
                return "the report is neither the one from before nor the new one"
        except NotAReport as error:
            return f"the report is not whole: {error}"
        status, said = there.run("--resume")
        if status == 2 and "no run" in said and (finished or not (there.folder / "cache" / "unfinished").exists()):
            status, said = there.run("--impl", IMPLEMENTATIONS)  # killed before it began or after its end
        if status != 0:
            return f"--resume ended with {status}: {said}"
        if tables(there.report) != tables(undisturbed):
            return "the report after --resume is another"
        if there.left_behind():
            return f"left beside the report: {there.left_behind()}"
    return ""


def beside_notes(how: signal.Signals, undisturbed: Path, seconds: float, draw: random.Random) -> str:
    """Kill a harness with the user's notes in the report's folder; return the damage."""
    with place(undisturbed) as there:
        notes = {there.report / name: name for name in ("notes.txt", "tensors/notes.txt", "figures/notes.txt")}
        for path, text in notes.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        there.run("--impl", IMPLEMENTATIONS)  # all is in the cache, so that most of the second run is its report
        running = there.begin("--impl", IMPLEMENTATIONS)
        time.sleep(draw.uniform(0.3, seconds))
        running.send_signal(how)
        running.communicate(timeout=60)
        status, said = there.run("--impl", IMPLEMENTATIONS)
        if status != 0:
            return f"ended with {status}: {said}"
        if tables(there.report) != tables(undisturbed):
            return "the report is another"
        if lost := [str(path) for path, text in notes.items() if not path.is_file() or path.read_text() != text]:
            return f"lost: {lost}"
        if there.left_behind():
            return f"left beside the report: {there.left_behind()}"
    return ""


def gone_terminal(_: signal.Signals | None, undisturbed: Path, seconds: float, draw: random.Random) -> str:
    """Close a run's output after some lines, like head; return the damage."""
    del seconds
    with place(None) as there:
        running = there.begin("--impl", IMPLEMENTATIONS)
        assert running.stdout is not None
        for _ in range(draw.randrange(3)):
            running.stdout.readline()
        running.stdout.close()
        running.stdout = None
        _, complained = running.communicate(timeout=300)
        if running.returncode != 0 or complained:
            return f"ended with {running.returncode}: {complained}"
        return "" if tables(there.report) == tables(undisturbed) else "the report is another"


def one_framework(how: signal.Signals, undisturbed: Path, seconds: float, draw: random.Random) -> str:
    """Kill the process of a framework; return the damage, empty if there is none."""
    with place(None) as there:
        running = there.begin("--impl", IMPLEMENTATIONS)
        time.sleep(draw.uniform(0.3, seconds))
        torch = [
            each
            for each in psutil.Process(running.pid).children()
            if each.status() != psutil.STATUS_ZOMBIE and each.cmdline()[-2:] == ["harness.execution.processes", "torch"]
        ]
        for each in torch:
            each.send_signal(how)
        said, complained = running.communicate(timeout=300)
        if "Traceback" in complained or running.returncode not in (0, 3):
            return f"status {running.returncode}: {said}{complained}"
        now, then = tables(there.report), tables(undisturbed)
        failed = 0
        for name in ("runs.csv", "comparisons.csv"):
            for row, right in zip(now[name], then[name], strict=True):
                if row == right:
                    continue
                if row["implementation"] not in OF_TORCH or how.name not in row["reason"]:
                    return f"{name}: {row} in place of {right}"
                failed += name == "runs.csv"
        if failed > 1:
            return f"{failed} results were lost to one kill"
    return ""


def damaged_cache(_: signal.Signals | None, undisturbed: Path, seconds: float, draw: random.Random) -> str:
    """Damage the cache between two runs; return the difference, empty if there is none."""
    del seconds
    with place(None) as there:
        there.run("--impl", IMPLEMENTATIONS)
        for path in (there.folder / "cache" / "answers").rglob("*"):
            if path.is_file() and draw.random() < 0.3:
                content = bytearray(path.read_bytes())
                content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
                path.write_bytes(content[: draw.randrange(len(content))] if draw.random() < 0.5 else content)
        status, said = there.run("--impl", IMPLEMENTATIONS)
        if status != 0:
            return f"ended with {status}: {said}"
        return "" if tables(there.report) == tables(undisturbed) else "the report is another"


def two_at_once(_: signal.Signals | None, undisturbed: Path, seconds: float, draw: random.Random) -> str:
    """Run twice into one folder at once; return the damage, empty if there is none."""
    with place(None) as there:
        first = there.begin("--impl", IMPLEMENTATIONS)
        time.sleep(draw.uniform(0, seconds / 2))
        second = there.begin("--impl", IMPLEMENTATIONS)
        said = ["".join(each.communicate(timeout=300)) for each in (first, second)]
        for each, words in zip((first, second), said, strict=True):
            if each.returncode != 0:
                return f"ended with {each.returncode}: {words}"
        if there.left_behind():
            return f"left beside the report: {there.left_behind()}"
        return "" if tables(there.report) == tables(undisturbed) else "the report is another"


LEAVING = """\
import os, subprocess
from pathlib import Path

import harness
from harness.problem.reference import solve


def keep(pid):
    with open(Path(__file__).with_name("left"), "a") as file:
        file.write(f"{pid}\\n")


@harness.implementation("leaving", supports={"cell": ("rnn",)})
def leaving(problem):
    keep(subprocess.Popen(["sleep", "600"], start_new_session=True).pid)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            keep(os.getpid())
            os.execvp("sleep", ["sleep", "600"])
        os._exit(0)
    return solve(problem)
"""
"""A user's file that leaves two processes behind in each call: one in a session of its own, and a daemon."""


def left_by_a_file(how: signal.Signals, _: Path, seconds: float, draw: random.Random) -> str:
    """Kill the check of a file that starts processes in sessions of their own; return the processes that are left.

    SIGSEGV goes to the process of the file, any other signal to the harness.
    """
    with place(None) as there:
        (there.folder / "leaving.py").write_text(LEAVING)
        command = [sys.executable, "-m", "harness", "check", "leaving.py", "killed"]
        running = subprocess.Popen(command, cwd=there.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        left = there.folder / "left"
        while not left.exists() and running.poll() is None:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, seconds / 2))
        family = psutil.Process(running.pid).children(recursive=True)
        if how == signal.SIGSEGV:
            for each in family:
                with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                    if each.cmdline()[1:4] == ["-P", "-m", "harness.execution.processes.user_file"]:
                        each.send_signal(how)
        else:
            running.send_signal(how)
        _, said = running.communicate(timeout=300)
        started = [*(each.pid for each in family), *map(int, left.read_text().split())]
        if still := alive(started):
            return f"{len(still)} of {len(started)} processes are left"
        return said if "Traceback" in said else ""


Try = Callable[[Any, Path, float, random.Random], str]

KINDS: dict[str, tuple[Try, signal.Signals | None]] = {
    "the harness, SIGKILL": (whole_run, signal.SIGKILL),
    "the harness, Ctrl-C": (whole_run, signal.SIGINT),
    "the harness, SIGKILL, beside notes": (beside_notes, signal.SIGKILL),
    "the harness, Ctrl-C in its first 50 ms": (partial(whole_run, window=(0.0, 0.05)), signal.SIGINT),
    "the harness, Ctrl-C twice": (partial(whole_run, times=2), signal.SIGINT),
    "the terminal, as by head": (gone_terminal, None),
    "torch's process, SIGKILL": (one_framework, signal.SIGKILL),
    "torch's process, SIGSEGV": (one_framework, signal.SIGSEGV),
    "the cache, bits and ends": (damaged_cache, None),
    "two runs at once": (two_at_once, None),
    "a check whose file leaves daemons, SIGKILL": (left_by_a_file, signal.SIGKILL),
    "a check whose file leaves daemons, Ctrl-C": (left_by_a_file, signal.SIGINT),
    "a file that leaves daemons, SIGSEGV": (left_by_a_file, signal.SIGSEGV),
}


def main() -> None:
    """Print a table."""
    tries = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    wanted = sys.argv[2:] or [""]
    kinds = {kind: how for kind, how in KINDS.items() if any(each in kind for each in wanted)}
    assert kinds, f"no kind has any of {wanted} in its name; there are {', '.join(KINDS)}"
    with tempfile.TemporaryDirectory() as folder:
        quiet = CrashPlace(Path(folder), None)
        start = time.perf_counter()
        status, said = quiet.run("--impl", IMPLEMENTATIONS)
        assert status == 0, said
        seconds = time.perf_counter() - start
        print("| what is killed or damaged | tries | survived |\n| --- | --- | --- |")
        lost = []
        for kind, (attempt, how) in kinds.items():
            found = [attempt(how, quiet.report, seconds, random.Random(f"{kind} {number}")) for number in range(tries)]
            lost += [[kind, each] for each in found if each]
            print(f"| {kind} | {tries} | {found.count('')} |", flush=True)
    for kind, what in lost:
        print(f"\n{kind}: {what}")
    print(json.dumps({"seconds_undisturbed": round(seconds, 1)}))
    raise SystemExit(bool(lost))


if __name__ == "__main__":
    main()
