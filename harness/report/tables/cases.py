"""``cases.csv``: a row for each case: what it is, what was expected of it, and how it came out."""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.table import Row
from harness.session import Run

FILE = "cases.csv"

COLUMNS = {
    "case": "text",
    "file": "text",
    "about": "text",
    "cell": "text",
    "layers": "count",
    "batch": "count",
    "time": "count",
    "input": "count",
    "hidden": "count",
    "output": "count",
    "dtype": "text",
    "expect": "text",
    "because": "text",
    "verdict": "text",
    "as_expected": "flag",
    "surprise": "text",  # what came out otherwise than the file says
    "floor_source": "text",
    "floor_reason": "text",
    "tensors": "text",  # the file of the tensors that were compared
}


def rows(run: Run) -> Iterator[Row]:
    """Yield the rows."""
    for outcome in run.outcomes:
        case, sizes = outcome.case, outcome.case.sizes
        yield {
            "case": case.name,
            "file": case.file,
            "about": case.about,
            "cell": case.cell,
            "layers": case.layers,
            "batch": sizes.batch,
            "time": sizes.time,
            "input": sizes.input,
            "hidden": sizes.hidden,
            "output": sizes.output,
            "dtype": case.dtype,
            "expect": case.expect,
            "because": case.because or "",
            "verdict": outcome.verdict,
            "as_expected": outcome.as_expected,
            "surprise": outcome.surprise,
            "floor_source": outcome.floors.source,
            "floor_reason": outcome.floors.reason,
            "tensors": outcome.kept,
        }
