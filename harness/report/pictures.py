"""The pictures of a case: heatmaps of its tensors, gradients along time, loss curves."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from harness.case.gates import gates_of
from harness.casefile import visible
from harness.report.heat import heat
from harness.report.kept import read
from harness.report.plots import Plot, along_time, apart, curves
from harness.report.table import Row
from harness.result import Result

MOST_LINES = 3
"""Maximum number of implementations in one plot: those with the largest errors."""

MOST_POINTS = 250
"""Maximum number of points of a line; a longer one shows the largest of each block."""

CURVE = "training.loss"


def add_pictures(case: dict[str, Any], path: Path, compared: Mapping[str, Sequence[Row]], *, plotted: bool) -> int:
    """Add its pictures to a case of the page; return how many bytes they take.

    Args:
        case: the case as the page has it, with its runs.
        path: the file of its tensors.
        compared: for each implementation, its rows of ``comparisons``.
        plotted: whether there are plots, or heatmaps alone.
    """
    kept = read(path)
    expected = kept.results.get(kept.baseline)
    if expected is None:
        return 0
    by_badness = sorted(case["runs"], key=lambda run: -badness([run]))
    results = {visible(name): result for name, result in kept.results.items()}
    shown = [each["implementation"] for each in by_badness if each["details"]]
    others = {name: results[name] for name in shown if name in results}
    for run in by_badness[: 1 if case["as_expected"] else MOST_LINES]:
        if run["implementation"] in others:
            run["heats"] = _heats(compared[run["implementation"]], others[run["implementation"]], expected)
            for name, each in run["heats"].items():
                each["gates"] = gates_of(kept.problem.case, name)
    plots = (_along_time(expected, others), *_curves(expected, others)) if plotted else ()
    case["plots"] += [asdict(plot) for plot in plots if plot is not None]
    return len(json.dumps([case["plots"], *(run["heats"] for run in case["runs"])]))


def badness(runs: Sequence[Mapping[str, Any]]) -> float:
    """Return the largest error ratio of runs as the page has them: infinite for what has no number, -1 for none."""
    ratios = (ratio for run in runs for ratio, there in zip(run["ratios"], run["compared"], strict=True) if there)
    return max((float(ratio) if isinstance(ratio, float) else math.inf for ratio in ratios), default=-1.0)


def _heats(rows: Sequence[Row], result: Result, expected: Result) -> dict[str, Any]:
    found = {}
    for row in rows:
        name = row["tensor"]
        if row["error_ratio"] is None:
            continue
        actual, right = result.tensors.get(name), expected.tensors.get(name)
        if actual is not None and right is not None and name not in result.known and actual.shape == right.shape:
            found[name] = heat(actual, right, row["rtol"], row["atol"]).plain()
    return found


def _along_time(expected: Result, others: Mapping[str, Result]) -> Plot | None:
    """Plot the gradient of the inputs along time: what reaches each step from all that come after it."""
    right = expected.gradients.get("inputs")
    if right is None or not np.isfinite(right).any() or right.shape[1] == 1:
        return None
    with np.errstate(all="ignore"):
        norm = np.sqrt(np.square(right.astype(np.float64)).sum(axis=(0, 2)))  # (T,)
        errors = {
            name: np.abs(each.gradients["inputs"].astype(np.float64) - right).max(axis=(0, 2))  # (T,)
            for name, each in others.items()
            if _whole(each, right.shape)
        }
    first = dict(list(errors.items())[:MOST_LINES])
    return along_time(*_thinned(norm), {name: _thinned(each)[1] for name, each in first.items()}, "the inputs")


def _whole(result: Result, shape: tuple[int, ...]) -> bool:
    found = result.gradients.get("inputs")
    return found is not None and found.shape == shape and "inputs" not in result.known


def _curves(expected: Result, others: Mapping[str, Result]) -> tuple[Plot | None, ...]:
    if CURVE not in expected.tensors:
        return ()
    right = expected.tensors[CURVE]
    with_curve = {name: each.tensors[CURVE] for name, each in others.items() if CURVE in each.tensors}
    with_curve = dict(sorted(with_curve.items(), key=lambda pair: -_off(pair[1], right)))
    return curves(right, with_curve, MOST_LINES), apart(right, with_curve, MOST_LINES)


def _off(curve: ndarray, right: ndarray) -> float:
    """Return the largest error of a curve, absolute; infinite if it has another length or is not finite."""
    if curve.shape != right.shape:
        return math.inf
    with np.errstate(all="ignore"):
        return float(np.nan_to_num(np.abs(curve.astype(np.float64) - right), nan=np.inf, posinf=np.inf).max())


def _thinned(values: ndarray) -> tuple[ndarray, ndarray]:
    """Return steps and values, (at most ``MOST_POINTS``,) each; of a block of steps the largest value."""
    starts = np.unique(np.linspace(0, len(values), MOST_POINTS, endpoint=False).astype(int))
    return starts, np.maximum.reduceat(np.nan_to_num(values, nan=np.inf), starts)
