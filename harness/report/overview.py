"""The summary that every form of a report begins with: counts, disagreements, worst error ratios."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import NamedTuple

from harness.comparison import SEVERITY
from harness.comparison.comparison import worst
from harness.diagnosis import UNEXPLAINED
from harness.execution.session.directional import NAME as DIRECTIONAL
from harness.report.report import Report
from harness.report.table import Row
from harness.terminal.words import counted

MAX_REASONS = 3


class Worst(NamedTuple):
    """The largest error ratio of an implementation, and where it is."""

    ratio: float
    case: str
    tensor: str


class Noticed(NamedTuple):
    """A remark on an implementation, as it was made first, and on how many cases."""

    implementation: str
    text: str
    case: str
    cases: int


def remarks(report: Report) -> list[Noticed]:
    """Return the remarks on implementations that were tried out, one for each implementation and kind."""
    found: dict[tuple[str, str], Noticed] = {}
    for row in report["remarks"]:
        key = (row["implementation"], row["kind"])
        first = found.get(key, Noticed(row["implementation"], row["text"], row["case"], 0))
        found[key] = first._replace(cases=first.cases + 1)
    return list(found.values())


def compared(report: Report) -> list[Row]:
    """Return the comparisons of tensors with those of the baseline, with or without numbers."""
    return [row for row in report["comparisons"] if row["elements"]]


def status_line(report: Report) -> str:
    """Return the result of a run in one line: whether it passed, and its counts."""
    tensors, cases, runs = compared(report), report["cases"], report["runs"]
    surprises = sum(not row["as_expected"] for row in cases)
    broken = sum("error" in (row["status"], row["verdict"]) for row in runs)
    if surprises:
        result = f"Failed: {surprises:,} of {counted(len(cases), 'case')} not as expected"
    elif broken:
        result = f"Failed: {counted(broken, 'error')} in {counted(len(cases), 'case')}"
    elif tensors:
        result = f"Passed: {len(cases):,} of {counted(len(cases), 'case')} as expected"
    else:
        return f"Nothing was compared in {counted(len(cases), 'case')}."
    verdicts = Counter(row["verdict"] for row in runs if row["verdict"])
    found = ", ".join(
        f"{verdicts[verdict]:,} {verdict}"
        for verdict in ("match", "mismatch", "error", "unsupported")
        if verdicts[verdict]
    )
    elements = counted(sum(row["elements"] for row in tensors), "element")
    counts = f"{found}; {counted(len(tensors), 'tensor')} and {elements} compared with {report.environment['baseline']}"
    if idle := sum(row["verdict"] == "unsupported" for row in cases):
        counts += f"; nothing was compared in {counted(idle, 'case')}"
    return f"{result}: {counts}."


def disagreements(report: Report, words: Callable[[Row], str] | None = None) -> list[tuple[str, str, str]]:
    """Return (case, implementation, reason) for each unexpected disagreement, errors first.

    Args:
        report: the report.
        words: describes the worst tensor, as ``in_brief`` does; ``in_words`` by default.
    """
    describe = words or in_words
    as_expected = {row["case"] for row in report["cases"] if row["as_expected"]}
    wrong: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in compared(report):
        if row["verdict"] in ("mismatch", "error"):
            wrong[row["case"], row["implementation"]].append(row)
    found, failed = [], []
    for run in report["runs"]:
        pair = (run["case"], run["implementation"])
        if not run["verdict"]:
            if run["status"] == "error":
                failed.append(("error", *pair, run["reason"]))
            continue
        if run["case"] in as_expected or run["verdict"] not in ("mismatch", "error"):
            continue
        if pair not in wrong:
            found.append((run["verdict"], *pair, run["reason"]))
        else:
            first, *more = sorted(wrong[pair], key=_worst_first)
            also = f" (+{len(more)} more)" if more else ""
            found.append((run["verdict"], *pair, "; ".join(filter(None, [describe(first) + also, run["oracle"]]))))
    return [row[1:] for row in sorted([*found, *failed], key=lambda row: row[0] != "error")]


def _worst_first(row: Row) -> tuple[int, float]:
    ratio = row["error_ratio"]
    return -SEVERITY.index(row["verdict"]), -math.inf if ratio is None or math.isnan(ratio) else -ratio


def in_brief(row: Row) -> str:
    """Describe the result of a tensor, a row of ``comparisons``, without its worst element."""
    ratio = row["error_ratio"]
    far = "" if ratio is None or not math.isfinite(ratio) else f", {ratio:.2g} times the bound"
    return f"{row['tensor']}: {row['reason'] or row['verdict']}{far}"


def in_words(row: Row) -> str:
    """Describe the result of a tensor, a row of ``comparisons``, in one line."""
    if row["error_ratio"] is None or row["verdict"] == "match":
        return f"{row['tensor']}: {row['reason'] or 'match'}"
    numbers = (row["actual"], row["expected"], row["allowed"], row["error_ratio"])
    at = worst(row["worst_index"], row["dtype"], numbers, row["origin"])
    return f"{row['tensor']}: {row['reason']}; {at}"


def floor_line(report: Report) -> str:
    """Return a sentence on the answers that the baseline itself was checked against."""
    cases = report["cases"]
    counts = Counter(row["floor_source"] for row in cases if row["floor_source"])

    def in_cases(count: int) -> str:
        return f"in {'all ' if count == len(cases) > 1 else ''}{counted(count, 'case')}"

    found = ", ".join(
        f"against {_SOURCES.get(source, source)} {in_cases(count)}" for source, count in counts.most_common()
    )
    missing = sum(not row["floor_source"] for row in cases)
    reasons = Counter(row["floor_reason"] for row in cases if row["floor_reason"])
    because = f" ({'; '.join(reason for reason, _ in reasons.most_common(MAX_REASONS))})" if reasons else ""
    checked = f"was checked {found}" if found else ""
    unchecked = f"could not be checked {in_cases(missing)}" if missing or not found else ""
    return f"The baseline {', and '.join(filter(None, [checked, unchecked]))}{because}."


_SOURCES = {
    "certified": "certified answers",
    "float64": "the reference in float64",
    "longdouble": "the reference in longdouble",
}


def ill_conditioned(report: Report) -> list[Row]:
    """Return the floors of the ill-conditioned tensors."""
    return [row for row in report["floors"] if row["ill_conditioned"]]


class Explained(NamedTuple):
    """A fault that explains an implementation's numbers."""

    implementation: str
    fault: str
    cases: int
    case: str
    explanation: str


def explained(report: Report, *, documented: bool) -> list[Explained]:
    """Return the best diagnosis of each implementation that disagrees, the one of the most cases first.

    Args:
        report: the report.
        documented: True for the cases that came out as their files declare, False for the others.
    """
    as_expected = {row["case"]: row["as_expected"] for row in report["cases"]}
    best: dict[tuple[str, str], Row] = {}
    for row in report["diagnoses"]:
        if as_expected.get(row["case"], False) == documented:
            best.setdefault((row["case"], row["implementation"]), row)
    found: dict[tuple[str, str], list[Row]] = {}
    for row in best.values():
        found.setdefault((row["implementation"], row["fault"]), []).append(row)
    rows = [
        Explained(
            name, fault, len(cases), cases[0]["case"], cases[0]["start" if fault == UNEXPLAINED else "explanation"]
        )
        for (name, fault), cases in found.items()
    ]
    return sorted(rows, key=lambda row: (row.implementation, -row.cases))


class Wrong(NamedTuple):
    """The unexpected failures of an implementation that have one cause.

    ``fault`` is the diagnosis; if it is empty, ``explanation`` is the reason of the verdict.
    """

    implementation: str
    verdict: str
    fault: str
    cases: int
    case: str
    explanation: str


def what_is_wrong(report: Report) -> list[Wrong]:
    """Return the causes of all unexpected disagreements, each once: the implementations with the most cases first."""
    best: dict[tuple[str, str], Row] = {}
    for row in report["diagnoses"]:
        best.setdefault((row["case"], row["implementation"]), row)
    verdicts = {(row["case"], row["implementation"]): row["verdict"] or row["status"] for row in report["runs"]}
    found: dict[tuple[str, str, str, str], Wrong] = {}
    for case, name, reason in disagreements(report, in_brief):
        diagnosis = best.get((case, name))
        fault = diagnosis["fault"] if diagnosis else ""
        said = diagnosis["start" if fault == UNEXPLAINED else "explanation"] if diagnosis else reason
        alike = "" if diagnosis else re.sub(r"\d[\d.e+-]*", "#", reason)
        key = (name, verdicts[case, name], fault, alike)
        first = found.get(key, Wrong(*key[:3], 0, case, said))
        found[key] = first._replace(cases=first.cases + 1)
    cases = Counter[str]()
    for each in found.values():
        cases[each.implementation] += each.cases
    return sorted(found.values(), key=lambda each: (-cases[each.implementation], each.implementation, -each.cases))


def training_line(report: Report) -> str:
    """Return a sentence on the trainings that were compared; empty if there were none."""
    steps = report["training"]
    names, cases = ({row[column] for row in steps} for column in ("implementation", "case"))
    if not steps:
        return ""
    by = f"{counted(len(names), 'implementation')} in {counted(len(cases), 'case')}"
    return f"Training: {counted(len(steps), 'step')} of {by}; training.csv lists each step."


def not_compared(report: Report) -> list[tuple[str, int, str]]:
    """Return (implementation, number of cases, reason) for the cases that implementations could not represent."""
    counts = Counter(
        (row["implementation"], row["reason"]) for row in report["runs"] if row["verdict"] == "unsupported"
    )
    return [(name, count, reason) for (name, reason), count in sorted(counts.items())]


class PartialComparison(NamedTuple):
    """The amount that was compared of an implementation that returned only a part of its tensors."""

    implementation: str
    cases: int
    elements: int
    size: int
    directional: int

    def __str__(self) -> str:
        beside = f", and {self.directional:,} directional derivatives" if self.directional else ""
        return f"{self.elements:,} of {self.size:,} elements{beside}"


def compared_in_part(report: Report) -> list[PartialComparison]:
    """Return the amount that was compared of each implementation that returned only a part of its tensors."""
    pairs: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in report["comparisons"]:
        size = math.prod(row["shape"])
        of_pair = pairs[row["implementation"], row["case"]]
        if row["tensor"] == DIRECTIONAL:
            of_pair[2] += size
        else:
            of_pair[0] += row["elements"]
            of_pair[1] += size
    counts: dict[str, list[int]] = {}
    for (name, _), (elements, size, directional) in pairs.items():
        if 0 < elements < size:
            found = counts.setdefault(name, [0, 0, 0, 0])
            for i, count in enumerate((1, elements, size, directional)):
                found[i] += count
    return [PartialComparison(name, *found) for name, found in sorted(counts.items())]


def worst_ratios(report: Report) -> dict[tuple[str, str], Worst]:
    """Return the largest error ratio by implementation and dtype, over cases that are expected to match."""
    expected_to_match = {row["case"] for row in report["cases"] if row["expect"] == "match"}
    found: dict[tuple[str, str], Worst] = {}
    for row in report["comparisons"]:
        if row["error_ratio"] is None or row["case"] not in expected_to_match:
            continue
        key = (row["implementation"], row["dtype"])
        this = Worst(row["error_ratio"], row["case"], row["tensor"])
        if key not in found or math.isnan(this.ratio) or this.ratio > found[key].ratio:
            found[key] = this
    return found
