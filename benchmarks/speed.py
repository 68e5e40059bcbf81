"""The figures of docs/benchmarks.md, from the table that `harness bench` wrote.

make bench      runs both
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.pages import put, table
from harness.bench.table import FILE, best_by_hand, geometric_mean
from harness.report.table import Row

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
SIZES = ["batch", "time", "input", "hidden"]
POINT = [*SIZES, "cell", "dtype"]


def milliseconds(row: Row) -> str:
    """Write the processor time of a pass, or the reason why it was not timed."""
    return row["status"] if pd.isna(row["processor_seconds"]) else f"{1e3 * row['processor_seconds']:.3g}"


def number(value: float, digits: str) -> str:
    """Write a number; a dash if there is none."""
    return "–" if value is None or pd.isna(value) else format(value, digits)


def figures(rows: list[Row]) -> str:
    """Return the table, with a row for each point, and its summary."""
    names = list(dict.fromkeys(row["contestant"] for row in rows))
    best = {tuple(row[each] for each in POINT): row for row in best_by_hand(rows)}
    by_point: dict[tuple[object, ...], dict[str, Row]] = {}
    for row in rows:
        by_point.setdefault(tuple(row[each] for each in POINT), {})[row["contestant"]] = row
    lines = []
    for point, there in by_point.items():
        hand = best.get(point, {})
        runs = [row["runs"] for row in there.values() if row["runs"]]
        lines.append(
            [
                ", ".join(map(str, point[:4])),
                *point[4:],
                number(hand.get("processor_ratio_to_torch_and_tensorflow"), ".2f"),
                number(hand.get("processor_ratio_to_others"), ".2f"),
                number(hand.get("processor_share_of_peak"), ".0%"),
                *(milliseconds(there[name]) if name in there else "" for name in names),
                f"{min(runs, default=0)} to {max(runs, default=0)}",
            ]
        )
    head = ["B, T, I, H", "cell", "dtype", "to torch, TF", "to all", "of peak", *names, "runs"]
    return f"{table(head, lines)}\n\n{summary(list(best.values()))}"


def summary(best: list[Row]) -> str:
    """Return a summary of the ratios of the faster derivation, over all points."""
    said = []
    for others, column in (
        ("torch and TensorFlow", "processor_ratio_to_torch_and_tensorflow"),
        ("the fastest of all", "processor_ratio_to_others"),
    ):
        ratios = [row[column] for row in best if row[column] is not None]
        if ratios:
            said.append(
                f"Relative to {others}, the faster derivation in NumPy has the geometric mean "
                f"{geometric_mean(best, column):.2f} and the maximum {max(ratios):.2f}; the ratio is above 1 at "
                f"{sum(ratio > 1 for ratio in ratios)} of {len(ratios)} points."
            )
    return " ".join(said)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("reports/bench"), help="of `harness bench`")
    chosen = parser.parse_args(arguments)
    read = pd.read_csv(chosen.folder / FILE)
    put(PAGE, "grid", figures(read.astype(object).where(read.notna(), None).to_dict("records")))
    print(PAGE)


if __name__ == "__main__":
    main()
