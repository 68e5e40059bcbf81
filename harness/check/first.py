"""The first case that disagrees, in full: which tensors, where, both values, the bound, and what does match."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from harness.check.folding import FORWARD, Fold
from harness.comparison import Comparison, TensorComparison
from harness.diagnosis import UNEXPLAINED, Diagnosis
from harness.session.examiner import BASELINE_IS_OFF

MAX_TENSORS = 6


def in_full(fold: Fold) -> Iterator[str]:
    """Yield the first case of a fold, line by line."""
    outcome, judged = fold.first
    yield f"{outcome.case.name}: {fold.verdict}"
    if outcome.case.about:
        yield f"  {outcome.case.about}"
    if judged.reason:
        yield f"  {judged.reason}"
    if judged.detail:
        yield from _indented(judged.detail)
    elif judged.comparison is None:
        yield from _indented(outcome.judged[0].detail)  # where the baseline failed, why
    yield from diagnosis_lines(judged.diagnoses)
    if judged.comparison is not None:
        yield from _tensors(judged.comparison)
        yield from _where_to_look(judged.comparison)
    yield ""


def diagnosis_lines(diagnoses: Sequence[Diagnosis]) -> Iterator[str]:
    """Yield what the numbers say the fault is: the best explanation, and what else fits them."""
    if not diagnoses:
        return
    best, *others = diagnoses
    yield ""
    if best.fault == UNEXPLAINED:
        yield from _wrapped(f"The fault: no fault of the catalogue explains these numbers; {best.start}.")
        yield ""
        return
    yield f"  The fault: {best.fault}"
    yield from _wrapped(best.explanation, "    ")
    others = [each for each in others if set(each.fault.split(" + ")) != set(best.fault.split(" + "))]
    if others:
        same = ", ".join(dict.fromkeys(" + ".join(sorted(each.fault.split(" + "))) for each in others))
        yield from _wrapped(f"This case cannot tell it from: {same}.", "    ")
    if best.fault != BASELINE_IS_OFF:
        with_it = f"With it, the numbers agree to {best.residual:.1e} of each tensor's largest element"
        yield from _wrapped(f"{with_it}; {best.start}." if best.start else f"{with_it}.", "    ")
    if best.declare:
        yield f"    If that is what you mean, say so in the case: {best.declare}"
    yield ""


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, 110, initial_indent=indent, subsequent_indent=indent)


def _indented(text: str) -> Iterator[str]:
    return (f"  {line}" for line in text.rstrip().splitlines())


def _tensors(comparison: Comparison) -> Iterator[str]:
    wrong = sorted(comparison.disagreements, key=lambda each: each.tensor not in FORWARD)
    for each in wrong[:MAX_TENSORS]:
        yield from _tensor(each)
    if len(wrong) > MAX_TENSORS:
        yield f"  and {len(wrong) - MAX_TENSORS} more: {', '.join(each.tensor for each in wrong[MAX_TENSORS:])}"
    matching = [each.tensor for each in comparison.tensors if each.verdict == "match"]
    yield f"  match: {', '.join(matching) or 'none'}"


def _tensor(each: TensorComparison) -> Iterator[str]:
    if each.metrics is None or each.bound is None:
        yield f"  {each.tensor}: {each.reason}"
        return
    m = each.metrics
    index = ", ".join(map(str, each.worst_index or ()))
    yield f"  {each.tensor}: {each.reason}; worst at [{index}]:" if index else f"  {each.tensor}: {each.reason}:"
    yield f"    yours     {each.written(m.actual)}"
    yield f"    expected  {each.written(m.expected)}"
    yield (
        f"    off by {abs(m.actual - m.expected):.3g}, allowed {m.allowed:.3g} ({each.bound.origin}), "
        f"{m.error_ratio:.3g} times the bound"
    )


def _where_to_look(comparison: Comparison) -> Iterator[str]:
    """Say which half of the computation the tensors point to."""
    wrong = {each.tensor for each in comparison.disagreements if each.metrics is not None}
    compared = {each.tensor for each in comparison.tensors}
    if wrong == {"outputs"}:
        yield "  The outputs alone disagree: what is returned as outputs is not what loss and gradients were made of."
    elif "outputs" in wrong:
        yield "  The outputs disagree: begin with the forward pass, for every gradient follows from it."
    elif "loss" in wrong and "outputs" in compared:
        yield "  The outputs match and the loss does not: look at how the loss is summed, and over which steps."
    elif "loss" in wrong:
        yield '  The loss disagrees: begin with the forward pass or the loss; return "outputs" to tell which.'
    elif wrong and "outputs" in compared:
        yield "  The outputs match, so the forward pass is right: the fault is in the backward pass."
    elif wrong and "loss" in compared:
        yield "  The loss matches, so the forward pass is most likely right, and the fault in the backward pass."
    elif wrong:
        yield '  Return "loss" and "outputs", too: they tell a fault of the forward pass from one of the backward pass.'
