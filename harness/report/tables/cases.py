"""``cases.csv``: a row for each case, with its description, its expectation and its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.execution.session import Run
from harness.report.table import Row

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
    "seeds": "text",  # the random seeds, by field
    "expect": "text",
    "because": "text",
    "verdict": "text",
    "as_expected": "flag",
    "surprise": "text",  # the difference from what the file declares
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
            "seeds": ", ".join(f"{field} {seed}" for field, seed in seeds(case.to_plain())),
            "expect": case.expect,
            "because": case.because or "",
            "verdict": outcome.verdict,
            "as_expected": outcome.as_expected,
            "surprise": outcome.surprise,
            "floor_source": outcome.floors.source,
            "floor_reason": outcome.floors.reason,
            "tensors": outcome.kept,
        }


def seeds(fields: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, int]]:
    """Yield each field of a case that has a seed, with the seed."""
    for name, value in fields.items():
        if name == "seed":
            yield above, value
        elif isinstance(value, dict):
            yield from seeds(value, f"{above}.{name}" if above else name)
