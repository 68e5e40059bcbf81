"""``comparisons.csv``: a row for each case, implementation and tensor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.case.training import is_of_training
from harness.comparison import TensorComparison
from harness.report import table
from harness.session import CaseOutcome, Judged, Run

FILE = "comparisons.csv"

COLUMNS = (
    "case",
    "implementation",
    "baseline",
    "tensor",
    "shape",
    "dtype",
    "elements",
    "failed",
    "max_abs_error",
    "max_rel_error",
    "max_ulp_error",
    "error_ratio",
    "worst_index",
    "actual",
    "expected",
    "rtol",
    "atol",
    "floor",
    "verdict",
    "reason",
)


def write(run: Run, path: Path) -> None:
    """Write the file."""
    table.write(path, COLUMNS, (row for outcome, each in run.comparisons for row in _rows(outcome, each)))


def _rows(outcome: CaseOutcome, judged: Judged) -> Iterator[dict[str, Any]]:
    case = outcome.case
    empty = dict.fromkeys(COLUMNS)
    of_pair = {"case": case.name, "implementation": judged.implementation, "baseline": outcome.baseline}
    if judged.comparison is None:
        for tensor, shape in outcome.tensors.items():
            yield {
                **empty,
                **of_pair,
                "tensor": tensor,
                "shape": shape,
                "dtype": case.dtype,
                "elements": 0,
                "failed": 0,
                "verdict": judged.verdict,
                "reason": judged.reason,
            }
        return
    for each in judged.comparison.tensors:
        yield {**empty, **of_pair, **_tensor(each), "floor": outcome.floors.largest.get(each.tensor)}
    for name in judged.comparison.not_provided:
        untrained = judged.comparison.untrained if is_of_training(name) else ""
        reason = f"not provided{f': {untrained}' if untrained else ''}"
        shape = outcome.tensors[name]
        yield {
            **empty,
            **of_pair,
            "tensor": name,
            "shape": shape,
            "dtype": case.dtype,
            "elements": 0,
            "failed": 0,
            "verdict": "unsupported",
            "reason": reason,
        }


def _tensor(each: TensorComparison) -> dict[str, Any]:
    row: dict[str, Any] = {
        "tensor": each.tensor,
        "shape": each.shape,
        "dtype": each.dtype,
        "elements": each.elements,
        "failed": each.failed,
        "verdict": each.verdict,
        "reason": each.reason,
    }
    if each.bound is not None:
        row |= {"rtol": each.bound.rtol, "atol": each.bound.atol}
    if each.metrics is not None:
        m = each.metrics
        row |= {
            "max_abs_error": m.max_abs_error,
            "max_rel_error": m.max_rel_error,
            "max_ulp_error": m.max_ulp_error,
            "error_ratio": m.error_ratio,
            "worst_index": each.worst_index,
            "actual": m.actual,
            "expected": m.expected,
        }
    return row
