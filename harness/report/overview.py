"""What every form of a report says first: the counts, what disagrees, the worst error ratios."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

from harness.diagnosis import UNEXPLAINED
from harness.session import Run

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


def floor_line(run: Run) -> str:
    """Return a sentence on where the floors come from: how far the baseline itself is off."""
    floors = [outcome.floors for outcome in run.outcomes]
    counts = Counter(each.source for each in floors if each.source)
    found = ", ".join(f"{_SOURCES[source]} in {count}" for source, count in counts.most_common())
    missing = sum(not each.source for each in floors)
    without = f"there is none in {missing}" if missing else ""
    reasons = Counter(each.reason for each in floors if each.reason)
    because = f" ({'; '.join(reason for reason, _ in reasons.most_common(MAX_REASONS))})" if reasons else ""
    return f"Floor, how far {run.baseline} itself is off: {'; '.join(filter(None, [found, without]))} cases{because}."


_SOURCES = {
    "certified": "against certified answers",
    "float64": "against the reference in float64",
    "longdouble": "against the reference in longdouble",
    "mpmath": "against the reference in mpmath's numbers",
}


def ill_conditioned(run: Run) -> list[tuple[str, str, str]]:
    """Return (case, tensor, why) for each ill-conditioned tensor."""
    return [
        (outcome.case.name, tensor, reason)
        for outcome in run.outcomes
        for tensor, reason in outcome.floors.ill_conditioned.items()
    ]


class Explained(NamedTuple):
    """A fault that explains an implementation's numbers."""

    implementation: str
    fault: str
    cases: int
    case: str
    explanation: str


def explained(run: Run) -> list[Explained]:
    """Return what is named first for each implementation that disagrees, what explains the most cases first."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for outcome, judged in run.comparisons:
        for best in judged.diagnoses[:1]:
            text = best.start if best.fault == UNEXPLAINED else best.explanation
            found.setdefault((judged.implementation, best.fault), []).append((outcome.case.name, text))
    rows = [Explained(name, fault, len(cases), *cases[0]) for (name, fault), cases in found.items()]
    return sorted(rows, key=lambda row: (row.implementation, -row.cases))


def training_line(run: Run) -> str:
    """Return a sentence on the trainings that were compared; empty if there were none."""
    trained = [(outcome, each) for outcome, each in run.comparisons if each.steps]
    if not trained:
        return ""
    steps = sum(len(each.steps["loss"]) for _, each in trained)
    names, cases = {each.implementation for _, each in trained}, {outcome.case.name for outcome, _ in trained}
    return f"Training: {steps} steps of {len(names)} implementations in {len(cases)} cases, each in `training.csv`."


def not_compared(run: Run) -> list[tuple[str, int, str]]:
    """Return (implementation, number of cases, reason) for the cases that implementations could not represent."""
    counts = Counter((each.implementation, each.reason) for _, each in run.comparisons if each.verdict == "unsupported")
    return [(name, count, reason) for (name, reason), count in sorted(counts.items())]


class Part(NamedTuple):
    """How much was compared of an implementation that knew only a part, over the cases in which it did."""

    implementation: str
    cases: int
    elements: int
    size: int
    directional: int

    def __str__(self) -> str:
        beside = f", and {self.directional} directional derivatives" if self.directional else ""
        return f"{self.elements} of {self.size} elements{beside}"


def compared_in_part(run: Run) -> list[Part]:
    """Return how much was compared of each implementation that knew only a part."""
    counts: dict[str, list[int]] = {}
    for outcome, judged in run.comparisons:
        if judged.comparison is None:
            continue
        missing = sum(math.prod(outcome.tensors[name]) for name in judged.comparison.not_provided)
        directional = sum(each.size for each in judged.comparison.tensors if each.tensor not in outcome.tensors)
        size = sum(each.size for each in judged.comparison.tensors) + missing - directional
        elements = judged.comparison.elements - directional
        if elements < size:
            found = counts.setdefault(judged.implementation, [0, 0, 0, 0])
            for i, count in enumerate((1, elements, size, directional)):
                found[i] += count
    return [Part(name, *found) for name, found in sorted(counts.items())]


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
