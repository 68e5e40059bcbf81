"""The cost of a run besides its implementations, by part, and the growth of that cost.

    make run-benchmark

Each run is a process of its own with an empty cache. Its share is the processor time of the harness's own process, from
start to end, divided by that of all processes: the time that the others lose if all processors are busy. The tables
also have the time by the clock, since a harness that delays the others does not show in processor time. The program
writes the tables and the plot of docs/speed-of-a-run.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.pages import put, table
from benchmarks.run_cost.parts import PARTS, REST
from benchmarks.run_cost.sweeps import ALL_IMPLEMENTATIONS, GROWING, NUMPY_ALONE, REAL, TINY, Sweep
from harness.implementations import implementations

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURE = DOCS / "speed-of-a-run.md", DOCS / "pictures" / "run-cost.png"


@dataclass(frozen=True)
class Cost:
    """The cost of a run, in seconds.

    Attributes:
        wall: Time by the clock, from the first import to the end.
        own: Processor time of the harness's own process.
        workers: Processor time of the processes that it started.
        parts: The parts of ``own``.
        computing: Time of the implementations by their own account, by process.
        importing: Time of importing the frameworks, by process.
    """

    wall: float
    own: float
    workers: float
    parts: dict[str, float]
    computing: dict[str, float]
    importing: dict[str, float]

    @property
    def share(self) -> float:
        """The share of the harness's own process in all processor time."""
        return self.own / (self.own + self.workers)

    @property
    def slowest(self) -> tuple[str, float]:
        """The process whose import and implementations take longest, and their time in seconds."""
        both = {name: self.computing.get(name, 0.0) + seconds for name, seconds in self.importing.items()}
        return max(both.items(), key=lambda each: each[1])


def cost(*arguments: str) -> Cost:
    """Run the harness in a process of its own, with an empty cache."""
    with tempfile.TemporaryDirectory() as scratch:
        written, report = Path(scratch) / "cost.json", Path(scratch) / "report"
        line = [
            sys.executable,
            "-m",
            "benchmarks.run_cost.parts",
            str(written),
            "run",
            *arguments,
            "--out",
            str(report),
        ]
        cache = {**os.environ, "HARNESS_CACHE": str(Path(scratch) / "cache")}
        ran = subprocess.run(line, env=cache, capture_output=True, text=True, check=False)
        if ran.returncode or json.loads(written.read_text())["status"]:
            raise SystemExit(f"{' '.join(line)} failed:\n{ran.stdout}{ran.stderr}")
        found: dict[str, Any] = json.loads(written.read_text())
        environment = json.loads((report / "environment.json").read_text())
        computing = Counter[str]()
        process_of = {name: each.framework.name for name, each in implementations().items()}
        with (report / "runs.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                computing[process_of[row["implementation"]]] += float(row["seconds"] or 0)
        del found["status"]
        return Cost(**found, computing=dict(computing), importing=environment["seconds_to_import"])


def of_sweep(sweep: Sweep, names: str) -> Cost:
    """Run a sweep with these implementations."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "sweep.yaml"
        path.write_text(sweep.text)
        return cost(str(path), "--impl", names)


def shares(cases: int) -> str:
    """Run a realistic and a tiny sweep; return the table."""
    of_all = [of_sweep(Sweep(cases, *kind), ALL_IMPLEMENTATIONS) for kind in (REAL, TINY)]
    head = [f"{cases:,} cases", *(f"{cell} {', '.join(map(str, sizes))}" for cell, sizes in (REAL, TINY))]
    rows = [
        ["by the clock, s", *(f"{each.wall:.1f}" for each in of_all)],
        ["the harness's own process, s of processor", *(f"{each.own:.1f}" for each in of_all)],
        ["the frameworks' processes, s of processor", *(f"{each.workers:.1f}" for each in of_all)],
        ["**share of the harness**", *(f"**{each.share:.1%}**" for each in of_all)],
        ["implementations by their own account, s", *(f"{sum(each.computing.values()):.1f}" for each in of_all)],
        ["importing the frameworks, s", *(f"{sum(each.importing.values()):.1f}" for each in of_all)],
    ]
    by_part = (
        [f"of the harness: {part}, ms a case", *(f"{1e3 * each.parts[part] / cases:.2f}" for each in of_all)]
        for part in (*PARTS, REST)
    )
    return table(head, [*rows, *by_part])


def of_report() -> str:
    """Run every case as `make report` does, with an empty cache; return a sentence."""
    found = cost()
    name, seconds = found.slowest
    return (
        f"`make report` with an empty cache: {found.wall:.0f} s by the clock. The slowest process is {name}: its "
        f"import and implementations took {seconds:.0f} s, and the report took {found.wall / seconds:.2f} times that. "
        f"The harness's own process took {found.own:.1f} s of processor, {found.share:.1%} of all."
    )


def growth() -> dict[str, list[tuple[int, Cost]]]:
    """Run the sweeps of growing size."""
    size_of = {"cases": lambda s: s.cases, "steps": lambda s: s.sizes[1], "elements": lambda s: s.elements}
    return {
        what: [(size_of[what](sweep), of_sweep(sweep, NUMPY_ALONE)) for sweep in sweeps]
        for what, sweeps in GROWING.items()
    }


def grown(found: dict[str, list[tuple[int, Cost]]]) -> str:
    """Return the table of the growing sweeps."""
    rows = []
    for what, costs in found.items():
        for size, each in costs:
            rows.append([what, f"{size:,}", f"{each.own:.2f}", f"{each.workers:.2f}", f"{each.wall:.1f}"])
    return table(["what grows", "", "harness, s of processor", "workers, s of processor", "by the clock, s"], rows)


def picture(found: dict[str, list[tuple[int, Cost]]]) -> Figure:
    """Return the plot: seconds against size, with a straight line through the first and the last point."""
    with mpl.rc_context({"font.size": 8}):
        figure = Figure(figsize=(8, 2.6), layout="constrained")
        for place, (what, costs) in zip(figure.subplots(1, len(found)), found.items(), strict=True):
            sizes = [size for size, _ in costs]
            ends = slice(None, None, len(sizes) - 1)
            for name, marker in (("own", "o"), ("workers", "s")):
                seconds = [getattr(each, name) for _, each in costs]
                label = "the harness" if name == "own" else "workers"
                (drawn,) = place.plot(sizes, seconds, marker, markersize=4, label=label)
                place.plot(sizes[ends], seconds[ends], color=drawn.get_color(), linewidth=0.8)
            place.set_xlabel({"cases": "cases", "steps": "T", "elements": "elements of the inputs"}[what])
            place.set_ylim(bottom=0)
            place.set_xlim(left=0)
        figure.axes[0].set_ylabel("seconds of processor")
        figure.axes[0].legend()
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure; write the tables and the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cases", type=int, default=1000, help="number of cases in each of the two sweeps whose share is shown by part"
    )
    parser.add_argument("--only", choices=["shares", "report", "growth"], nargs="*", help="all of them unless given")
    chosen = parser.parse_args(arguments)
    wanted = chosen.only or ["shares", "report", "growth"]
    if "shares" in wanted:
        put(PAGE, "shares", shares(chosen.cases))
    if "report" in wanted:
        put(PAGE, "report", of_report())
    if "growth" in wanted:
        found = growth()
        put(
            PAGE,
            "growth",
            f"![processor time against cases, T and elements](pictures/{PICTURE.name})\n\n{grown(found)}",
        )
        picture(found).savefig(PICTURE, dpi=100, metadata={"Software": None})
    print(PAGE)


if __name__ == "__main__":
    main()
