"""``floors.csv``: how far the baseline itself is off in each tensor of each case, and how that is known."""

from __future__ import annotations

from pathlib import Path

from harness.report import table
from harness.session import Run

FILE = "floors.csv"

COLUMNS = ("case", "baseline", "tensor", "dtype", "floor", "source", "remark", "reason")


def write(run: Run, path: Path) -> None:
    """Write the file."""
    rows = (
        {
            "case": outcome.case.name,
            "baseline": outcome.baseline,
            "tensor": tensor,
            "dtype": outcome.case.dtype,
            "floor": outcome.floors.largest.get(tensor),
            "source": outcome.floors.source or None,
            "remark": outcome.floors.remark(tensor),
            "reason": outcome.floors.reason,
        }
        for outcome in run.outcomes
        for tensor in outcome.bounds
    )
    table.write(path, COLUMNS, rows)
