"""A check in a notebook: its verdict, a line for each result, and the first disagreement with its heatmaps."""

from __future__ import annotations

from collections.abc import Iterator

from harness.candidate.check import folding
from harness.candidate.check.folding import Fold
from harness.candidate.check.function import Check
from harness.candidate.check.page import WRONG
from harness.comparison.shown import parts as of_comparison
from harness.diagnosis.shown import parts as of_diagnosis
from harness.markup import Html, element, output, table, verdict
from harness.terminal.words import counted


def html_of(check: Check) -> str:
    """Return the HTML of a check."""
    return output(*_parts(check))


def _parts(check: Check) -> Iterator[Html]:
    word, _, rest = check.conclusion.partition(":")
    yield verdict(word, rest) if rest else element("p", element("strong", word))
    comparisons = [
        (outcome, judged)
        for outcome, judged in check.run.comparisons
        if judged.implementation == check.candidate.implementations[0].name
    ]
    for text in dict.fromkeys(remark.text for _, judged in comparisons for remark in judged.remarks):
        yield element("p", f"Warning: {text}", class_="note")
    folds = [fold for _, fold in folding.alike_by_file(comparisons)]
    rows = [_row(fold) for fold in folds]
    yield table(("verdict", "case", "tensors"), rows, [fold.verdict in WRONG for fold in folds])
    if wrong := [fold for fold in folding.alike(comparisons) if fold.verdict in WRONG]:
        yield from _in_full(wrong[0])
    yield element("details", element("summary", "As harness check prints it"), element("pre", str(check)))


def _row(fold: Fold) -> list[object]:
    """Return the cells of equal results in one file."""
    outcome, judged = fold.first
    name = outcome.case.name if len(fold.pairs) == 1 else f"{folding.file_name(outcome)} ({len(fold.pairs):,} cases)"
    if fold.verdict == "match" and judged.comparison is not None:
        return [fold.verdict, name, counted(len(judged.comparison.tensors), "tensor")]
    return [fold.verdict, name, ", ".join(fold.tensors) or judged.reason]


def _in_full(fold: Fold) -> Iterator[Html]:
    """Yield the first case of a fold: its diagnoses, its tensors and its heatmaps."""
    outcome, judged = fold.first
    yield element("p", element("strong", outcome.case.name), f": {outcome.case.about}" if outcome.case.about else "")
    for each in judged.diagnoses[:1]:
        yield from of_diagnosis(each)
    if judged.reason:
        yield element("p", judged.reason)
    if judged.detail:
        yield element("pre", judged.detail)
    if judged.comparison is not None:
        yield from of_comparison(judged.comparison)
