"""What changed between two reports: mismatches that are new or gone, errors that grew, versions, cases.

Errors at the level of rounding come and go. So an error counts as grown only if it is ten times what it was and more
than one unit of rounding, of which a default tolerance allows ``UNITS_ALLOWED``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.comparison import SEVERITY
from harness.report.overview import in_words
from harness.report.report import Report
from harness.report.table import Row

GROWN = 10.0
"""An error that grew by this factor is told."""

NOT_THERE = "not there"

UNITS_ALLOWED = 16.0
"""Below 1 / this an error ratio is rounding."""


@dataclass(frozen=True)
class Changed:
    """One thing that is not as it was.

    Attributes:
        case, implementation, tensor: where; what does not apply is empty.
        before, after: how it was and how it is, in words.
        worse: whether it got worse.
    """

    case: str
    implementation: str
    tensor: str
    before: str
    after: str
    worse: bool


@dataclass(frozen=True)
class Difference:
    """What changed from one report to another.

    Attributes:
        verdicts: of implementations on cases; worse where one took a turn for the worse that its case does not expect.
        errors: of tensors that match still, or disagree still, but are off ten times as far.
        cases: that are in one of the two alone; those that are gone are not worse, fewer may have been asked for.
        versions: of frameworks, of the harness, of Python.
    """

    verdicts: tuple[Changed, ...]
    errors: tuple[Changed, ...]
    cases: tuple[Changed, ...]
    versions: tuple[Changed, ...]

    @property
    def worse(self) -> list[Changed]:
        """What got worse."""
        return [each for each in (*self.verdicts, *self.errors, *self.cases) if each.worse]

    @property
    def nothing(self) -> bool:
        """Whether nothing changed."""
        return not (self.verdicts or self.errors or self.cases or self.versions)


def difference(before: Report, after: Report, *, with_new: bool = True) -> Difference:
    """Return what changed from ``before`` to ``after``; with or without the cases that only ``after`` has."""
    return Difference(
        tuple(_verdicts(before, after)),
        tuple(_errors(before, after)),
        tuple(each for each in _cases(before, after) if with_new or each.before != NOT_THERE),
        tuple(_versions(before.environment, after.environment)),
    )


def _by(rows: Any, *columns: str) -> dict[tuple[str, ...], Row]:
    return {tuple(row[column] for column in columns): row for row in rows}


def _verdicts(before: Report, after: Report) -> Iterator[Changed]:
    was = _by(before["runs"], "case", "implementation")
    expected = {row["case"]: row["as_expected"] for row in after["cases"]}
    worst = _worst(after)
    for key, row in _by(after["runs"], "case", "implementation").items():
        if key not in was:
            continue
        then, now = (_outcome(each) for each in (was[key], row))
        if then != now:
            worse = SEVERITY.index(now) > SEVERITY.index(then) or now == "unsupported"
            said = in_words(worst[key]) if key in worst and now in ("mismatch", "error") else row["reason"]
            text = f"{now}: {said}" if said else now
            excused = expected[row["case"]] and now != "unsupported"
            yield Changed(row["case"], row["implementation"], "", then, text, worse and not excused)


def _outcome(run: Row) -> Any:
    """Return the verdict on an implementation; of the baseline, which has none, what its status amounts to."""
    return run["verdict"] or ("match" if run["status"] == "ok" else run["status"])


def _worst(report: Report) -> dict[tuple[str, ...], Row]:
    """Return the tensor that is off furthest, for each implementation that disagrees on a case."""
    found: dict[tuple[str, ...], Row] = {}
    for row in report["comparisons"]:
        key = (row["case"], row["implementation"])
        if row["verdict"] in ("mismatch", "error") and (key not in found or _ratio(row) > _ratio(found[key])):
            found[key] = row
    return found


def _ratio(row: Row) -> float:
    ratio = row["error_ratio"]
    return math.inf if ratio is None or math.isnan(ratio) else float(ratio)


def _errors(before: Report, after: Report) -> Iterator[Changed]:
    was = _by(before["comparisons"], "case", "implementation", "tensor")
    for key, row in _by(after["comparisons"], "case", "implementation", "tensor").items():
        then = was.get(key)
        if then is None or then["error_ratio"] is None or row["error_ratio"] is None:
            continue
        if then["verdict"] == row["verdict"] and _ratio(row) > max(GROWN * _ratio(then), 1 / UNITS_ALLOWED):
            told = (f"{_ratio(each):.3g} times the bound" for each in (then, row))
            yield Changed(row["case"], row["implementation"], row["tensor"], next(told), next(told), worse=True)


def _cases(before: Report, after: Report) -> Iterator[Changed]:
    was, now = (_by(report["cases"], "case") for report in (before, after))
    for (name,) in was.keys() - now.keys():
        yield Changed(name, "", "", was[name,]["verdict"], NOT_THERE, False)
    for (name,) in now.keys() - was.keys():
        row = now[name,]
        yield Changed(name, "", "", NOT_THERE, row["surprise"] or row["verdict"], not row["as_expected"])


def _versions(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Changed]:
    then, now = (dict(_named(each)) for each in (before, after))
    for name in {**then, **now}:
        if then.get(name, "") != now.get(name, ""):
            yield Changed("", name, "", then.get(name, NOT_THERE), now.get(name, NOT_THERE), False)


def _named(environment: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("harness", "python", "platform", "baseline"):
        yield name, str(environment.get(name, ""))
    for modules in environment.get("frameworks", {}).values():
        yield from modules.items()
