"""The tables of the benchmark, for the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.low_precision.judging import FACTORS, OURS
from benchmarks.pages import put, table
from harness.low_precision.elsewhere import ELSEWHERE

PAGE = Path("docs/low-precision.md")
KINDS = tuple(f"{size} of a {place}" for place in ("tensor", "term") for size in FACTORS)
IN_BOTH = ("bfloat16", "float16")

Row = dict[str, Any]


def write(rows: Sequence[Row]) -> None:
    """Write the tables into the page."""
    tensors = sum(row["tensors"] for row in rows)
    left_out = sum(row["not judged"] for row in rows)
    said = f"{len(rows):,} right answers with {tensors:,} tensors."
    if left_out:
        said += (
            f" {left_out} more tensors overflow by rounding alone, so that they cannot be judged; a check reports that."
        )
    put(PAGE, "rules", f"{said}\n\n{_rules(rows)}")
    put(PAGE, "right answers", _contenders(rows))


def _rules(rows: Sequence[Row]) -> str:
    head = ["rule", "false alarms, 24 problems", "one problem", *(f"sees {kind}" for kind in KINDS)]
    found = []
    for rule in (OURS, *ELSEWHERE):
        all_of_them, one = (sum(row[key][rule] for row in rows) for key in ("refused", "refused on one problem"))
        shares = [_in_both(rows, kind, rule) for kind in KINDS]
        found.append([rule, f"{all_of_them:,}", "" if rule == OURS else f"{one:,}", *shares])
    return table(head, found)


def _contenders(rows: Sequence[Row]) -> str:
    head = ["right answer", "answers", "false alarms", "largest", "RMS", *(f"sees {kind}" for kind in KINDS)]
    found = []
    for name in sorted({row["contender"] for row in rows}):
        those = [row for row in rows if row["contender"] == name]
        alarms = sum(row["refused"][OURS] for row in those)
        most = [f"{max(row[measure] for row in those):.2f}" for measure in ("largest", "rms")]
        found.append([name, len(those), alarms, *most, *(_in_both(those, kind, OURS) for kind in KINDS)])
    return table(head, found)


def _in_both(rows: Sequence[Row], kind: str, rule: str) -> str:
    """Return the shares of faults that a rule sees in bfloat16 and in float16, in the answers that it accepts as right.

    A dash stands where it accepts none of the answers.
    """
    return " / ".join(_shares(rows, kind, rule))


def _shares(rows: Sequence[Row], kind: str, rule: str) -> Iterator[str]:
    for format in IN_BOTH:
        those = [row for row in rows if row["format"] == format and kind in row.get("faults", {})]
        accepted = [row for row in those if not row["refused"][rule]]
        if count := sum(row["faults"][kind] for row in accepted):
            yield f"{sum(row['seen'][kind][rule] for row in accepted) / count:.0%}"
        elif those:
            yield "–"
