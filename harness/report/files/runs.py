"""``runs.csv``: a row for each case and implementation, the baseline included."""

from __future__ import annotations

from pathlib import Path

from harness.report import table
from harness.session import Run

FILE = "runs.csv"

COLUMNS = ("case", "implementation", "status", "loss", "seconds", "version", "reason")


def write(run: Run, path: Path) -> None:
    """Write the file."""
    rows = (
        {
            "case": outcome.case.name,
            "implementation": each.implementation,
            "status": each.status,
            "loss": each.loss,
            "seconds": each.seconds,
            "version": _version(run, run.processes.get(each.implementation, "")),
            "reason": "; ".join(filter(None, [each.reason, *(remark.text for remark in each.remarks)])),
        }
        for outcome in run.outcomes
        for each in outcome.judged
    )
    table.write(path, COLUMNS, rows)


def _version(run: Run, framework: str) -> str:
    return ", ".join(f"{module} {version}" for module, version in run.versions.get(framework, {}).items())
