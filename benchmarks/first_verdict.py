"""The time to the first verdict of ``harness check``, beside the time of ``import numpy``.

    make first-verdict

A file made by ``harness new`` is checked on one case, again and again, in turns with the import in another process of
the same Python. The verdict is there when the sentence with the counts is printed; the report follows. The first check
of all has an empty cache, as after an installation. Held are the medians: the verdict comes in at most ``MOST`` times
the import. Other work on the machine slows a check more than an import, since a check uses two processors.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

MOST = 3.0
"""Maximum time to the verdict, in times of the import."""

CASE = "basic/tanh"
VERDICT = b" compared."
"""The end of the sentence with the verdict."""

HARNESS = (sys.executable, "-m", "harness")


class Times(NamedTuple):
    """The times of one check, in seconds from its start."""

    verdict: float
    whole: float


def imported(module: str) -> float:
    """Return the seconds that a process takes that imports one module."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - start


def checked(arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> Times:
    """Return the times of a check.

    Raises:
        RuntimeError: if it prints no verdict.
    """
    start, printed, verdict = time.perf_counter(), b"", 0.0
    command = [*HARNESS, "check", *arguments]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while more := os.read(process.stdout.fileno(), 2**16):
            printed += more
            if not verdict and VERDICT in printed:
                verdict = time.perf_counter() - start
    if not verdict:
        raise RuntimeError(f"{' '.join(command)} printed no verdict:\n{printed.decode()}")
    return Times(verdict, time.perf_counter() - start)


def main() -> None:
    """Print the times and the ratio; end with 1 if it is too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "HARNESS_CACHE": str(folder / "cache")}
        for kind, file in (("implementation", "my_rnn.py"), ("recurrence", "my_cell.py")):
            subprocess.run([*HARNESS, "new", f"--{kind}", file], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        first = checked(["my_rnn.py", CASE], folder, environment)
        pairs = [(imported("numpy"), checked(["my_rnn.py", CASE], folder, environment)) for _ in range(repeats)]
        cell = [checked(["my_cell.py"], folder, environment) for _ in range(max(3, repeats // 3))]
    of_import = statistics.median(each for each, _ in pairs)
    rows = {
        "import numpy": of_import,
        f"check my_rnn.py {CASE}, the first of all: verdict": first.verdict,
        f"check my_rnn.py {CASE}: verdict": statistics.median(each.verdict for _, each in pairs),
        f"check my_rnn.py {CASE}: end, with the report": statistics.median(each.whole for _, each in pairs),
        "check my_cell.py, a recurrence: verdict": statistics.median(each.verdict for each in cell),
    }
    for label, seconds in rows.items():
        print(f"{label:<58} {seconds:6.3f} s  {seconds / of_import:5.1f} times the import")
    ratio = statistics.median(each.verdict / seconds for seconds, each in pairs)
    print(f"the verdict takes {ratio:.2f} times the import beside it; at most {MOST:g}")
    sys.exit(ratio > MOST)


if __name__ == "__main__":
    main()
