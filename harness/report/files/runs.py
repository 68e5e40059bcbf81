"""``runs.csv``: a row for each case and implementation, the baseline included."""

from __future__ import annotations

from pathlib import Path

from harness.implementations import implementations
from harness.report import table
from harness.session import Run

FILE = "runs.csv"

COLUMNS = ("case", "implementation", "status", "loss", "seconds", "version", "reason")


def write(run: Run, path: Path) -> None:
    """Write the file."""
    framework_of = {name: each.framework.name for name, each in implementations().items()}
    rows = (
        {
            "case": outcome.case.name,
            "implementation": each.implementation,
            "status": each.status,
            "loss": each.loss,
            "seconds": each.seconds,
            "version": _version(run, framework_of.get(each.implementation, "")),
            "reason": each.reason,
        }
        for outcome in run.outcomes
        for each in outcome.judged
    )
    table.write(path, COLUMNS, rows)


def _version(run: Run, framework: str) -> str:
    return ", ".join(f"{module} {version}" for module, version in run.versions.get(framework, {}).items())
