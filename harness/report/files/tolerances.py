"""``tolerances.csv``: the tolerance in force for each tensor of each case, and where it comes from."""

from __future__ import annotations

from pathlib import Path

from harness.report import table
from harness.session import Run

FILE = "tolerances.csv"

COLUMNS = ("case", "tensor", "dtype", "rtol", "atol", "origin")


def write(run: Run, path: Path) -> None:
    """Write the file."""
    rows = (
        {
            "case": outcome.case.name,
            "tensor": tensor,
            "dtype": outcome.case.dtype,
            "rtol": bound.rtol,
            "atol": bound.atol,
            "origin": bound.origin,
        }
        for outcome in run.outcomes
        for tensor, bound in outcome.bounds.items()
    )
    table.write(path, COLUMNS, rows)
