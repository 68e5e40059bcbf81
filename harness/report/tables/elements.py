"""``elements.csv``: a row for each element that failed, or for every element if that was asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.execution.session import Run
from harness.report.table import Row

FILE = "elements.csv"

COLUMNS = {
    "case": "text",
    "implementation": "text",
    "tensor": "text",
    "index": "index",
    "actual": "number",
    "expected": "number",
    "abs_error": "number",
    "rel_error": "number",
    "ulp_error": "number",
    "allowed": "number",
    "verdict": "text",
}

NUMBERS = ("actual", "expected", "abs_error", "rel_error", "ulp_error", "allowed")


def rows(run: Run) -> Iterator[Row]:
    """Yield the rows."""
    for outcome, judged in run.comparisons:
        for each in judged.comparison.tensors if judged.comparison else ():
            for chunk in each.metrics.collected if each.metrics else ():
                # A scalar has no axes to unravel along: its one element has the index [].
                axes = np.unravel_index(chunk.position, each.shape) if each.shape else ()
                indices = zip(*(axis.tolist() for axis in axes), strict=True) if axes else [()] * len(chunk)
                numbers = (
                    chunk.actual,
                    chunk.expected,
                    chunk.abs_error,
                    chunk.rel_error,
                    chunk.ulp_error,
                    chunk.allowed,
                )
                columns = [column.tolist() for column in numbers]
                for index, ok, *values in zip(indices, chunk.ok.tolist(), *columns, strict=True):
                    yield {
                        "case": outcome.case.name,
                        "implementation": judged.implementation,
                        "tensor": each.tensor,
                        "index": index,
                        **dict(zip(NUMBERS, values, strict=True)),
                        "verdict": "match" if ok else "mismatch",
                    }
