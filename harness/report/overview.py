"""What every form of a report says first: the counts, what disagrees, the worst error ratios."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

from harness.session import Run


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


def remarks(run: Run) -> list[Noticed]:
    """Return what was noticed when implementations were tried out; what is of one kind is told once."""
    found: dict[tuple[str, str], Noticed] = {}
    for outcome, judged in run.comparisons:
        for each in judged.remarks:
            key = (judged.implementation, each.kind)
            first = found.get(key, Noticed(judged.implementation, each.text, outcome.case.name, 0))
            found[key] = first._replace(cases=first.cases + 1)
    return list(found.values())


def status_line(run: Run) -> str:
    """Return one line that says how the run came out, with its counts."""
    counted = (
        f"{len(run.outcomes)} cases, {run.tensors_compared} tensors and {run.elements_compared} elements compared "
        f"with {run.baseline}"
    )
    verdicts = [each.verdict for _, each in run.comparisons]
    found = ", ".join(
        f"{verdicts.count(verdict)} {verdict}"
        for verdict in ("match", "mismatch", "error", "unsupported")
        if verdict in verdicts
    )
    surprises = len(run.surprises)
    conclusion = "all as expected" if not surprises else f"{surprises} cases not as expected"
    return f"{counted}: {found or 'nothing compared'}; {conclusion}."


def disagreements(run: Run) -> list[tuple[str, str, str]]:
    """Return (case, implementation, what is wrong) for each that was not expected to disagree, errors first."""
    found = []
    for outcome, each in run.comparisons:
        if outcome.as_expected or each.verdict not in ("mismatch", "error"):
            continue
        if each.comparison is None or not each.comparison.disagreements:
            found.append((each.verdict, outcome.case.name, each.implementation, each.reason))
        else:
            what = str(each.comparison.disagreements[0])
            more = len(each.comparison.disagreements) - 1
            what += (f" (+{more} more)" if more else "") + (f"; {each.oracle}" if each.oracle else "")
            found.append((each.verdict, outcome.case.name, each.implementation, what))
    found += [
        ("error", outcome.case.name, each.implementation, each.reason)
        for outcome, each in run.failed_implementations
        if each.verdict is None
    ]
    return [row[1:] for row in sorted(found, key=lambda row: row[0] != "error")]


def not_compared(run: Run) -> list[tuple[str, int, str]]:
    """Return (implementation, number of cases, reason) for the cases that implementations could not represent."""
    counts = Counter((each.implementation, each.reason) for _, each in run.comparisons if each.verdict == "unsupported")
    return [(name, count, reason) for (name, reason), count in sorted(counts.items())]


def worst_ratios(run: Run) -> dict[tuple[str, str], Worst]:
    """Return the largest error ratio by implementation and dtype, over cases that are expected to match."""
    worst: dict[tuple[str, str], Worst] = {}
    for outcome, judged in run.comparisons:
        if judged.comparison is None or outcome.case.expect == "mismatch":
            continue
        for each in judged.comparison.tensors:
            if each.metrics is None:
                continue
            key = (judged.implementation, outcome.case.dtype)
            found = Worst(each.metrics.error_ratio, outcome.case.name, each.tensor)
            if key not in worst or math.isnan(found.ratio) or found.ratio > worst[key].ratio:
                worst[key] = found
    return worst
