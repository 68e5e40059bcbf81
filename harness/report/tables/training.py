"""``training.csv``: a row for each step of each training of each implementation that is compared."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from harness.case.training import LOSS_CURVE
from harness.comparison import Elements, measure
from harness.execution.session import CaseOutcome, Judgement, Run
from harness.report.table import Row

FILE = "training.csv"

COLUMNS = {
    "case": "text",
    "implementation": "text",
    "baseline": "text",
    "step": "count",
    "loss": "number",
    "baseline_loss": "number",
    "abs_error": "number",
    "error_ratio": "number",
    "allowed": "number",
    "lr": "number",
    "gradient_norm": "number",  # before it is limited
    "verdict": "text",
}

FIELDS = tuple(Elements.__dataclass_fields__)


def rows(run: Run) -> Iterator[Row]:
    """Yield the rows."""
    for outcome, judged in run.comparisons:
        yield from _rows(outcome, judged)


def _rows(outcome: CaseOutcome, judged: Judgement) -> Iterator[Row]:
    """Yield a row for each step; without errors, where the baseline has no such curve."""
    if not judged.steps:
        return
    curve, expected = judged.steps["loss"], outcome.of_baseline.steps.get("loss")
    compared = {} if expected is None or expected.shape != curve.shape else _errors(outcome, curve, expected)
    columns = {**judged.steps, **compared}
    for step in range(len(curve)):
        yield {
            **{name: "" if kind == "text" else None for name, kind in COLUMNS.items()},
            "case": outcome.case.name,
            "implementation": judged.implementation,
            "baseline": outcome.baseline,
            "step": step,
            **{name: column[step].item() for name, column in columns.items() if name in COLUMNS},
        }


def _errors(outcome: CaseOutcome, curve: ndarray, expected: ndarray) -> dict[str, ndarray]:
    """Return a column of the table for each error of a loss curve, (steps,) each."""
    bound = outcome.bounds[LOSS_CURVE]
    chunks = measure(
        curve,
        expected,
        rtol=bound.rtol,
        atol=bound.atol if bound.by_element is None else bound.by_element,
        nonfinite_allowed=outcome.case.nonfinite == "allowed",
        collect="all",
    ).collected
    found = Elements(*(np.concatenate([getattr(each, name) for each in chunks]) for name in FIELDS))
    became_nonfinite = ~np.isfinite(found.actual) & np.isfinite(found.expected)
    with np.errstate(all="ignore"):
        ratio = np.divide(
            found.abs_error, found.allowed, out=np.zeros_like(found.abs_error), where=found.abs_error != 0
        )
    return {
        "baseline_loss": found.expected,
        "abs_error": found.abs_error,
        "allowed": found.allowed,
        "error_ratio": ratio,
        "verdict": np.where(became_nonfinite, "error", np.where(found.ok, "match", "mismatch")),
    }
