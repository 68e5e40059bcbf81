"""``comparisons.csv``: a row for each case, implementation and tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.case.training import is_of_training
from harness.comparison import TensorComparison
from harness.execution.session import CaseOutcome, Judgement, Run
from harness.layout import layouts_of
from harness.report.table import Row

FILE = "comparisons.csv"

WITHOUT_ITS_PAIR = "not provided: the other of the two biases is compared alone"
"""The reason of a row of a layout's own tensor, which has a row in no other case."""

COLUMNS = {
    "case": "text",
    "implementation": "text",
    "baseline": "text",
    "tensor": "text",
    "shape": "index",
    "dtype": "text",
    "elements": "count",
    "failed": "count",
    "max_abs_error": "number",
    "max_rel_error": "number",
    "max_ulp_error": "number",
    "error_ratio": "number",
    "worst_index": "index",
    "actual": "number",
    "expected": "number",
    "rtol": "number",
    "atol": "number",
    "floor": "number",
    "verdict": "text",
    "reason": "text",
    "allowed": "number",  # the bound at the worst element
    "origin": "text",  # where the tolerance comes from
}


def rows(run: Run) -> Iterator[Row]:
    """Yield the rows."""
    for outcome, judged in run.comparisons:
        yield from _rows(outcome, judged)


def _rows(outcome: CaseOutcome, judged: Judgement) -> Iterator[Row]:
    case = outcome.case
    empty = {name: "" if kind == "text" else None for name, kind in COLUMNS.items()}
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
    in_layouts = {
        name: shape
        for each in layouts_of(case.structure).values()
        for name, shape in each.shapes(case.structure).items()
    }
    for name in judged.comparison.not_provided:
        untrained = judged.comparison.untrained if is_of_training(name) else ""
        reason = f"not provided{f': {untrained}' if untrained else ''}"
        if name not in outcome.tensors:
            reason = WITHOUT_ITS_PAIR
        shape = outcome.tensors.get(name) or in_layouts.get(name, ())
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
        row |= {"rtol": each.bound.rtol, "atol": each.bound.atol, "origin": each.bound.origin}
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
            "allowed": m.allowed,
        }
    return row
