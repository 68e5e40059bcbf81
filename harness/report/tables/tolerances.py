"""``tolerances.csv``: the tolerance in force for each tensor of each case, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator

from harness.execution.session import Run
from harness.report.table import Row

FILE = "tolerances.csv"

COLUMNS = {
    "case": "text",
    "tensor": "text",
    "dtype": "text",
    "rtol": "number",
    "atol": "number",
    "origin": "text",
}


def rows(run: Run) -> Iterator[Row]:
    """Yield the rows."""
    for outcome in run.outcomes:
        for tensor, bound in outcome.bounds.items():
            yield {
                "case": outcome.case.name,
                "tensor": tensor,
                "dtype": outcome.case.dtype,
                "rtol": bound.rtol,
                "atol": bound.atol,
                "origin": bound.origin,
            }
