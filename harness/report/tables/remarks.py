"""``remarks.csv``: the remarks on implementations that were tried out, a row for each case and remark."""

from __future__ import annotations

from collections.abc import Iterator

from harness.execution.session import Run
from harness.report.table import Row

FILE = "remarks.csv"

COLUMNS = {"case": "text", "implementation": "text", "kind": "text", "text": "text"}


def rows(run: Run) -> Iterator[Row]:
    """Yield the rows."""
    for outcome, judged in run.comparisons:
        for each in judged.remarks:
            yield {
                "case": outcome.case.name,
                "implementation": judged.implementation,
                "kind": each.kind,
                "text": each.text,
            }
