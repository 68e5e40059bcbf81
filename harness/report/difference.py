"""The changes between two reports: verdicts, errors that grew, tolerances, implementations, cases, versions.

In the cases that both reports have, a missing answer is worse, because nothing checks it any longer; a new answer is
worse if it is wrong.

Errors at the level of rounding come and go. So an error counts as grown only if it grew tenfold and is more than one
unit of rounding. A default tolerance allows ``UNITS_ALLOWED`` of these units.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from harness.comparison import SEVERITY
from harness.precision.tolerance import OF_THE_CASE
from harness.report.overview import in_words
from harness.report.report import Report
from harness.report.table import Row
from harness.report.tables.comparisons import WITHOUT_ITS_PAIR
from harness.terminal.words import counted

GROWN = 10.0
"""Factor above which a grown error is listed."""

NOT_THERE = "absent"
NOT_COMPARED = "not compared"
WITH_ITS_PAIR = "compared with its pair"

UNITS_ALLOWED = 16.0
"""Units of rounding in a default tolerance: an error ratio below 1 / this is rounding."""


@dataclass(frozen=True)
class Changed:
    """One change.

    Attributes:
        case, implementation, tensor: the place; a part that does not apply is empty.
        before, after: the states, in words.
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
    """The changes from one report to another.

    Attributes:
        implementations: implementations that answer in only one report, over the shared cases; worse if gone.
        verdicts: verdicts of implementations on cases; worse if the case does not expect the new one, or if it is gone.
        tensors: tensors of implementations with the same verdict on the case: other verdicts, tensors or biases of a
            pair that only one report compares, fewer compared elements, and other reasons without numbers.
        errors: tensors with the same verdict and an error that grew tenfold.
        tolerances: tolerances that grew tenfold; the case changed, so they are not worse.
        cases: cases that only one report has, or that came out as expected in only one. Missing cases are not worse:
            the second run may have asked for fewer.
        versions: versions of frameworks, of the harness, and of Python.
    """

    implementations: tuple[Changed, ...]
    verdicts: tuple[Changed, ...]
    tensors: tuple[Changed, ...]
    errors: tuple[Changed, ...]
    tolerances: tuple[Changed, ...]
    cases: tuple[Changed, ...]
    versions: tuple[Changed, ...]

    @property
    def everything(self) -> tuple[Changed, ...]:
        """Every change, kind by kind."""
        kinds = (getattr(self, field.name) for field in fields(self))
        return tuple(each for kind in kinds for each in kind)

    @property
    def worse(self) -> list[Changed]:
        """The changes for the worse."""
        return [each for each in self.everything if each.worse]

    @property
    def nothing(self) -> bool:
        """True if nothing changed."""
        return not self.everything


def difference(before: Report, after: Report, *, with_new: bool = True) -> Difference:
    """Return what changed from ``before`` to ``after``; with or without the cases that only ``after`` has."""
    verdicts = tuple(_verdicts(before, after))
    with_verdicts = {each.case for each in verdicts}
    cases = (each for each in _cases(before, after) if with_new or each.before != NOT_THERE)
    return Difference(
        tuple(_implementations(before, after)),
        verdicts,
        tuple(_tensors(before, after)),
        tuple(_errors(before, after)),
        tuple(_tolerances(before, after)),
        tuple(each for each in cases if each.case not in with_verdicts),
        tuple(_versions(before.environment, after.environment)),
    )


def _by(rows: Any, *columns: str) -> dict[tuple[str, ...], Row]:
    return {tuple(row[column] for column in columns): row for row in rows}


def _shared(before: Report, after: Report) -> tuple[dict[tuple[str, ...], Row], dict[tuple[str, ...], Row]]:
    """Return the runs of each report by case and implementation, in the cases that both have."""
    cases = {row["case"] for row in before["cases"]} & {row["case"] for row in after["cases"]}
    was, now = (
        _by((row for row in report["runs"] if row["case"] in cases), "case", "implementation")
        for report in (before, after)
    )
    return was, now


def _alone(one: Iterable[tuple[str, ...]], other: Iterable[tuple[str, ...]]) -> Counter[str]:
    """Return the implementations that have none of the other's runs, each with the number of its own."""
    there = {name for _, name in other}
    return Counter(name for _, name in one if name not in there)


def _implementations(before: Report, after: Report) -> Iterator[Changed]:
    was, now = _shared(before, after)
    for name, cases in _alone(was, now).items():
        yield Changed("", name, "", f"in {counted(cases, 'case')}", NOT_THERE, worse=True)
    for name, cases in _alone(now, was).items():
        yield Changed("", name, "", NOT_THERE, f"in {counted(cases, 'case')}", worse=False)


def _verdicts(before: Report, after: Report) -> Iterator[Changed]:
    was, now = _shared(before, after)
    gone, new = _alone(was, now), _alone(now, was)
    for (case, name), row in was.items():
        if (case, name) not in now and name not in gone:
            yield Changed(case, name, "", _outcome(row), NOT_THERE, worse=_outcome(row) != "unsupported")
    expected = {row["case"]: row["as_expected"] for row in after["cases"]}
    worst = _worst(after)
    for key, row in now.items():
        then, outcome = NOT_THERE if key not in was else _outcome(was[key]), _outcome(row)
        wrong = outcome in ("mismatch", "error")
        if then == outcome or (row["implementation"] in new and not wrong):
            continue
        reason = in_words(worst[key]) if key in worst and wrong else row["reason"]
        text = f"{outcome}: {reason}" if reason else outcome
        yield Changed(
            row["case"], row["implementation"], "", then, text, _is_worse(then, outcome, expected[row["case"]])
        )


def _is_worse(then: str, now: str, as_expected: bool) -> bool:
    """Return True for a verdict that is worse than ``then``, and that its case does not expect."""
    if now in (NOT_THERE, "unsupported"):
        return then not in (NOT_THERE, "unsupported")
    if then == NOT_THERE:
        return now in ("mismatch", "error") and not as_expected
    return SEVERITY.index(now) > SEVERITY.index(then) and not as_expected


def _outcome(run: Row) -> Any:
    """Return the verdict on an implementation; the baseline has none, so the verdict that matches its status."""
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


def _of_steady_runs(before: Report, after: Report) -> Iterator[tuple[tuple[str, ...], Row | None, Row | None]]:
    """Yield the rows of each tensor that either report compares, for the runs with the same verdict in both.

    A row is None if the tensor was not compared.
    """
    was, now = _shared(before, after)
    steady = {key for key, row in was.items() if key in now and _outcome(row) == _outcome(now[key])}
    then, there = (
        _by(
            (row for row in report["comparisons"] if row["verdict"] != "unsupported"),
            "case",
            "implementation",
            "tensor",
        )
        for report in (before, after)
    )
    for key in {**then, **there}:
        if key[:2] in steady:
            yield key, then.get(key), there.get(key)


def _pairs(before: Report, after: Report) -> Iterator[Changed]:
    """Yield the biases that one report compares with the other of their pair, and the other one lacks."""
    was, now = _shared(before, after)
    lacked, lacks = (
        _by(
            (row for row in report["comparisons"] if row["reason"] == WITHOUT_ITS_PAIR),
            "case",
            "implementation",
            "tensor",
        )
        for report in (before, after)
    )
    for key in {**lacked, **lacks}:
        case, name, tensor = key
        if (key in lacked) != (key in lacks) and (case, name) in was and (case, name) in now:
            then, there = (NOT_COMPARED if key in each else WITH_ITS_PAIR for each in (lacked, lacks))
            yield Changed(case, name, tensor, then, there, worse=key in lacks)


def _tensors(before: Report, after: Report) -> Iterator[Changed]:
    expected = {row["case"]: row["as_expected"] for row in after["cases"]}
    yield from _pairs(before, after)
    for (case, name, tensor), then, row in _of_steady_runs(before, after):
        was, now = (NOT_COMPARED if each is None else each["verdict"] for each in (then, row))
        if was != now:
            text = f"{now}: {in_words(row)}" if row is not None and now != "match" else now
            worse = now == NOT_COMPARED or (now in ("mismatch", "error") and not expected[case])
            yield Changed(case, name, tensor, was, text, worse)
        elif then is not None and row is not None and then["elements"] != row["elements"]:
            worse = then["shape"] == row["shape"] and then["elements"] > row["elements"]
            was, now = (counted(each["elements"], "element") for each in (then, row))
            yield Changed(case, name, tensor, was, now, worse)
        elif then is not None and row is not None and then["error_ratio"] is None and then["reason"] != row["reason"]:
            was, now = (f"{each['verdict']}: {each['reason']}" for each in (then, row))
            yield Changed(case, name, tensor, was, now, worse=False)


def _errors(before: Report, after: Report) -> Iterator[Changed]:
    for (case, name, tensor), then, row in _of_steady_runs(before, after):
        if then is None or row is None or then["error_ratio"] is None or row["error_ratio"] is None:
            continue
        if then["verdict"] == row["verdict"] and _ratio(row) > max(GROWN * _ratio(then), 1 / UNITS_ALLOWED):
            was, now = (f"{_ratio(each):.3g} times the bound" for each in (then, row))
            yield Changed(case, name, tensor, was, now, worse=True)


def _tolerances(before: Report, after: Report) -> Iterator[Changed]:
    was, now = (_by(report["tolerances"], "case", "tensor") for report in (before, after))
    for key, row in now.items():
        given = row["origin"].startswith(OF_THE_CASE)  # a default of zero grows with the least rounding
        if key in was and any(row[n] > GROWN * was[key][n] and (was[key][n] or given) for n in ("rtol", "atol")):
            loose = f"rtol {row['rtol']:.3g}, atol {row['atol']:.3g}"
            tight = f"rtol {was[key]['rtol']:.3g}, atol {was[key]['atol']:.3g}"
            yield Changed(row["case"], "", row["tensor"], tight, loose, worse=False)


def _cases(before: Report, after: Report) -> Iterator[Changed]:
    was, now = (_by(report["cases"], "case") for report in (before, after))
    for (name,) in (each for each in was if each not in now):
        yield Changed(name, "", "", was[name,]["verdict"], NOT_THERE, False)
    for (name,) in (each for each in now if each not in was):
        row = now[name,]
        yield Changed(name, "", "", NOT_THERE, row["surprise"] or row["verdict"], not row["as_expected"])
    for (name,) in (each for each in was if each in now):
        then, row = was[name,], now[name,]
        if then["as_expected"] != row["as_expected"]:
            was_so, is_so = (each["surprise"] or "as expected" for each in (then, row))
            yield Changed(name, "", "", was_so, is_so, worse=not row["as_expected"])


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
