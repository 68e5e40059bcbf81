"""The date since which an implementation disagrees, from the report that a new one replaces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.report import table
from harness.report.report import Report
from harness.report.table import Row, Unreadable
from harness.report.tables import runs

COLUMNS = {name: runs.COLUMNS[name] for name in ("case", "implementation", "verdict", "since")}
WRONG = ("mismatch", "error")


def with_history(report: Report, target: Path) -> Report:
    """Return a report with the date of each disagreement.

    A disagreement that the report in ``target`` has, too, keeps its date; a new one gets the present date. A report
    that cannot be read, because it is incomplete or has not these columns, is ignored.

    Args:
        report: the report that is to be written.
        target: where to.
    """
    before = {(row["case"], row["implementation"]): row["since"] for row in _read(target) if row["verdict"] in WRONG}
    now = str(report.environment["date"])

    def dated(row: Row) -> Row:
        if row["since"] or row["verdict"] not in WRONG:
            return row
        return {**row, "since": before.get((row["case"], row["implementation"])) or now}

    return replace(report, tables={**report.tables, "runs": [dated(row) for row in report["runs"]]})


def _read(target: Path) -> list[Row]:
    if not (target / runs.FILE).is_file():
        return []
    try:
        return table.read(target / runs.FILE, COLUMNS)
    except (Unreadable, OSError):
        return []
