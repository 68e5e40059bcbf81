"""``floors.csv``: the error of the baseline itself in each tensor of each case, and its source."""

from __future__ import annotations

from collections.abc import Iterator

from harness.execution.session import Run
from harness.report.table import Row

FILE = "floors.csv"

COLUMNS = {
    "case": "text",
    "baseline": "text",
    "tensor": "text",
    "dtype": "text",
    "floor": "number",
    "source": "text",
    "remark": "text",
    "reason": "text",
    "ill_conditioned": "flag",
}


def rows(run: Run) -> Iterator[Row]:
    """Yield the rows."""
    for outcome in run.outcomes:
        for tensor in outcome.bounds:
            yield {
                "case": outcome.case.name,
                "baseline": outcome.baseline,
                "tensor": tensor,
                "dtype": outcome.case.dtype,
                "floor": outcome.floors.largest.get(tensor),
                "source": outcome.floors.source,
                "remark": outcome.floors.remark(tensor),
                "reason": outcome.floors.reason,
                "ill_conditioned": tensor in outcome.floors.ill_conditioned,
            }
