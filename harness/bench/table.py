"""The figures as rows: medians and quartiles, ratios to others, and the share of the matrix product's speed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from harness.bench.points import Point
from harness.bench.running import Bench, Figures
from harness.implementations import NUMPY
from harness.report.table import Columns, Row

FILE = "bench.csv"

COLUMNS: Columns = {
    "cell": "text",
    "dtype": "text",
    "batch": "count",
    "time": "count",
    "input": "count",
    "hidden": "count",
    "contestant": "text",
    "status": "text",
    "reason": "text",
    "runs": "count",
    "first_seconds": "number",  # with compilation and other work that is done once
    "median_seconds": "number",
    "lower_quartile_seconds": "number",
    "upper_quartile_seconds": "number",
    "fastest_seconds": "number",
    "processor_seconds": "number",  # the median run's, of all processors together
    "ratio_to_torch_and_tensorflow": "number",  # the median divided by that of the faster of the two
    "ratio_to_others": "number",  # the median divided by that of the fastest in another framework
    "share_of_peak": "number",  # relative to the speed of a matrix product, measured in the same rounds
    "processor_ratio_to_torch_and_tensorflow": "number",  # by processor_seconds: with one thread, the ratio that the
    "processor_ratio_to_others": "number",  # clock would give if nothing else ran
    "processor_share_of_peak": "number",
    "peak_gflops": "number",  # by the processor's time
    "threads": "count",
    "versions": "text",
}

EAGER_OR_GRAPH = ("torch", "keras")
"""The frameworks of the first ratio, including compiled torch."""


def rows(found: Bench) -> list[Row]:
    """Return a row for each point and contestant."""
    return [_row(each, found) for each in found.figures]


def _row(each: Figures, found: Bench) -> Row:
    point = each.point
    timed = each.seconds.size > 0
    lower, upper = np.percentile(each.seconds, (25, 75)) if timed else (None, None)
    peak, processor_peak = found.peaks[point]
    there = [other for other in found.figures if other.point == point and other.framework != each.framework]
    two = [other for other in there if other.framework in EAGER_OR_GRAPH]
    versions = found.versions.get(each.framework, {})
    return {
        "cell": point.cell,
        "dtype": point.dtype,
        "batch": point.batch,
        "time": point.time,
        "input": point.input,
        "hidden": point.hidden,
        "contestant": each.contestant,
        "status": each.status,
        "reason": each.reason,
        "runs": each.seconds.size,
        "first_seconds": each.first_seconds if timed else None,
        "median_seconds": each.median() if timed else None,
        "lower_quartile_seconds": lower,
        "upper_quartile_seconds": upper,
        "fastest_seconds": float(each.seconds.min()) if timed else None,
        "processor_seconds": each.median(of_processors=True) if timed else None,
        "ratio_to_torch_and_tensorflow": _ratio(each, two),
        "ratio_to_others": _ratio(each, there),
        "share_of_peak": operations(point) / each.median() / peak if timed else None,
        "processor_ratio_to_torch_and_tensorflow": _ratio(each, two, of_processors=True),
        "processor_ratio_to_others": _ratio(each, there, of_processors=True),
        "processor_share_of_peak": operations(point) / each.median(of_processors=True) / processor_peak
        if timed
        else None,
        "peak_gflops": processor_peak / 1e9,
        "threads": found.threads,
        "versions": ", ".join(f"{module} {version}" for module, version in versions.items()),
    }


def operations(point: Point) -> float:
    """Return the number of additions and multiplications in the matrix products of both passes."""
    return 2.0 * point.case.structure.multiplications


def _ratio(each: Figures, others: Sequence[Figures], *, of_processors: bool = False) -> float | None:
    medians = [other.median(of_processors=of_processors) for other in others if other.seconds.size]
    return each.median(of_processors=of_processors) / min(medians) if medians and each.seconds.size else None


def best_by_hand(table: Iterable[Row]) -> list[Row]:
    """Return, for each point, the row of the faster of the two derivations in NumPy."""
    best: dict[tuple[object, ...], Row] = {}
    for row in table:
        if row["contestant"].startswith(NUMPY.name) and row["median_seconds"] is not None:
            key = tuple(row[each] for each in ("cell", "dtype", "batch", "time", "input", "hidden"))
            if key not in best or row["median_seconds"] < best[key]["median_seconds"]:
                best[key] = row
    return list(best.values())


def geometric_mean(table: Iterable[Row], column: str) -> float | None:
    """Return the geometric mean of a column's values; None if it has none."""
    logarithms = [math.log(row[column]) for row in table if row[column] is not None]
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else None
