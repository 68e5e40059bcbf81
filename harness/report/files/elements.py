"""``elements.csv``: a row for each element that failed, or for every element if that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness.report import table
from harness.session import Run

FILE = "elements.csv"

COLUMNS = (
    "case",
    "implementation",
    "tensor",
    "index",
    "actual",
    "expected",
    "abs_error",
    "rel_error",
    "ulp_error",
    "allowed",
    "verdict",
)


def write(run: Run, path: Path) -> None:
    """Write the file."""
    table.write(path, COLUMNS, _rows(run))


def _rows(run: Run) -> Iterator[dict[str, Any]]:
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
                        **dict(zip(COLUMNS[4:10], values, strict=True)),
                        "verdict": "match" if ok else "mismatch",
                    }
