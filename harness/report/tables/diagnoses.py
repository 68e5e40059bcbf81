"""``diagnoses.csv``: a row for each tensor that disagrees and each explanation of it, the best first."""

from __future__ import annotations

from collections.abc import Iterator

from harness.execution.session import Run
from harness.report.table import Row

FILE = "diagnoses.csv"

COLUMNS = {
    "case": "text",
    "implementation": "text",
    "tensor": "text",
    "fault": "text",
    "residual": "number",
    "explanation": "text",
    "start": "text",  # the first wrong numbers
    "declare": "text",  # the declaration for the case, if this is intended
}


def rows(run: Run) -> Iterator[Row]:
    """Yield the rows."""
    for outcome, judged in run.comparisons:
        for each in judged.diagnoses:
            for tensor, residual in each.residuals.items():
                yield {
                    "case": outcome.case.name,
                    "implementation": judged.implementation,
                    "tensor": tensor,
                    "fault": each.fault,
                    "residual": residual,
                    "explanation": each.explanation,
                    "start": each.start,
                    "declare": each.declare,
                }
