"""``diagnoses.csv``: a row for each tensor that disagrees and each explanation of it, the best first."""

from __future__ import annotations

from pathlib import Path

from harness.report import table
from harness.session import Run

FILE = "diagnoses.csv"

COLUMNS = ("case", "implementation", "tensor", "fault", "residual", "explanation")


def write(run: Run, path: Path) -> None:
    """Write the file."""
    rows = (
        {
            "case": outcome.case.name,
            "implementation": judged.implementation,
            "tensor": tensor,
            "fault": each.fault,
            "residual": residual,
            "explanation": each.explanation,
        }
        for outcome, judged in run.comparisons
        for each in judged.diagnoses
        for tensor, residual in each.residuals.items()
    )
    table.write(path, COLUMNS, rows)
