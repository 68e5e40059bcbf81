"""Texts in reports that are formulas, markup, commands, half characters or far too long."""

from __future__ import annotations

import csv
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

from harness import report
from harness.case import ValidCase
from harness.casefile.odd import ODD
from harness.execution.session import CaseOutcome, Judgement, Run
from harness.execution.session.floors import Floors
from harness.result.remark import Remark

PARTS = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    "@SUM(A1)",
    "-2+3",
    "+inf",
    "-1.5",
    "'",
    "\t=1",
    "\r=1",
    "\n",
    ",;\"'",
    "|",
    "`",
    "``` ",
    "<img src=x onerror=alert(1)>",
    "</script><script>",
    "![a](http://b)",
    "@somebody",
    "#12",
    "# head",
    "- item",
    "--out",
    "$(reboot)",
    "; reboot",
    "\ud800",
    "\udcff",
    "\0",
    "\x1b[2J",
    "\x9b",
    "\uffff",
    "\u202e",
    "\ufeff",
    "é",
    "\U0001f600",
    "x" * 50,
    "x " * 100_000,
    "[bold]x[/nonsense]",
    "{{ 7 * 7 }}",
    "%s %(x)s {}",
)
"""The pieces of a text, in any order."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def drawn(random: random.Random) -> str:
    """Return a text of one to four parts."""
    return "".join(random.choice(PARTS) for _ in range(random.randint(1, 4)))


def run_saying(case: ValidCase, random: random.Random) -> Run:
    """Return a run of one case with random texts in place of all texts that others can write."""
    texts = {name: drawn(random) for name in ("name", "file", "about", "because")}
    judged = (
        Judgement(implementation="numpy-split", status="ok", verdict=None),
        Judgement(
            implementation=drawn(random),
            status="error",
            verdict="error",
            reason=drawn(random),
            detail=drawn(random),
            remarks=(Remark(drawn(random), drawn(random)),),
        ),
    )
    run = Run("numpy-split", tuple(each.implementation for each in judged))
    run.versions = {drawn(random): {drawn(random): drawn(random)}}
    floors = Floors(source=drawn(random), reason=drawn(random))
    run.outcomes.append(CaseOutcome(replace(case, expect="mismatch", **texts), "numpy-split", judged, {}, floors, None))
    return run


def complaint_of(run: Run, folder: Path) -> str:
    """Write the report of a run and read it back; return a complaint about it, empty if there is none."""
    shutil.rmtree(folder, ignore_errors=True)
    made = report.of_run(run, plotted=False)
    report.write(made, folder)
    if {name: list(rows) for name, rows in report.read(folder).tables.items()} != {**made.tables, "runs": _dated(made)}:
        return "a text does not read back as it was written"
    for path in folder.iterdir():
        if ODD.search(path.read_bytes().decode()):
            return f"an odd character in {path.name}"
    for path in folder.glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            for cell in (cell for row in csv.reader(file) for cell in row):
                if cell.startswith(FORMULA) and not _is_number(cell):
                    return f"a formula in {path.name}: {cell[:60]!r}"
    page, summary = ((folder / name).read_text(encoding="utf-8") for name in ("index.html", "summary.md"))
    if any(mark in page for mark in ("<img src=x", "</script><script>")):
        return "markup in index.html"
    if any(mark in summary for mark in ("<img", "<script", "![", "@somebody", "http://", "#12")):
        return "markup in summary.md"
    if not json.loads((folder / "environment.json").read_text(encoding="utf-8"))["frameworks"]:
        return "no versions in environment.json"
    return ""


def _dated(made: report.Report) -> list[dict[str, object]]:
    """Return the rows of ``runs`` as they are written: with the date of an implementation's first disagreement."""
    date = made.environment["date"]
    return [{**row, "since": date if row["verdict"] in ("mismatch", "error") else ""} for row in made["runs"]]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
