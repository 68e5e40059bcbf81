"""The first case that disagrees, in full: which tensors, where, both values, the bound, and what does match."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

from harness.candidate.check.folding import FORWARD, Fold
from harness.case import Case
from harness.comparison import Comparison, TensorComparison
from harness.diagnosis import NOT_FINITE, UNEXPLAINED, Diagnosis
from harness.execution.session.examiner import BASELINE_IS_OFF, STRICTER_THAN_ROUNDING

MAX_TENSORS = 6

FAR_MORE = 1e6
"""Gradients so many times as far off as the outputs, in units of their bounds, do not follow from these alone."""

A_SUM = 1e-6
"""The least relative error of a loss that is summed otherwise; one with a smaller error has other digits."""


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
        yield from _where_to_look(judged.comparison, outcome.case)
    yield ""


def diagnosis_lines(diagnoses: Sequence[Diagnosis]) -> Iterator[str]:
    """Yield what the numbers say the fault is: the best explanation, and what else fits them."""
    groups = _of_the_same(diagnoses)
    for number, (best, *others) in enumerate(groups):
        if not number:
            yield ""
        numbers = ", ".join(best.tensors) if len(groups) > 1 else "the numbers"
        yield from _best_of(best, others, "Besides" if number else "The fault", numbers)


def _of_the_same(diagnoses: Sequence[Diagnosis]) -> list[list[Diagnosis]]:
    """Put together what explains the same tensors: that excludes each other, and what explains others does not.

    Where numbers are not finite stands beside every explanation, whatever it is of.
    """
    groups: list[list[Diagnosis]] = []
    for each in diagnoses:
        alike = (group for group in groups if set(group[0].tensors) & set(each.tensors))
        own = next((group for group in alike if NOT_FINITE not in (each.fault, group[0].fault)), None)
        if own is None:
            groups.append([each])
        else:
            own.append(each)
    return groups


def _best_of(best: Diagnosis, others: Sequence[Diagnosis], title: str, numbers: str) -> Iterator[str]:
    """Yield what explains some tensors, and the names of what else would.

    Args:
        best: the best explanation.
        others: what else explains the same tensors.
        title: what the line begins with that names the fault.
        numbers: the numbers that it explains, in words.
    """
    if best.fault == UNEXPLAINED:
        what = f"these numbers; {best.start}" if best.start else ", ".join(best.tensors)
        yield from _wrapped(f"{title}: no fault of the catalogue explains {what}.")
        yield ""
        return
    yield f"  {title}: {best.fault}"
    yield from _wrapped(best.explanation, "    ")
    others = [each for each in others if set(each.fault.split(" + ")) != set(best.fault.split(" + "))]
    if others:
        same = ", ".join(dict.fromkeys(" + ".join(sorted(each.fault.split(" + "))) for each in others))
        yield from _wrapped(f"This case cannot tell it from: {same}.", "    ")
    if best.fault not in (BASELINE_IS_OFF, STRICTER_THAN_ROUNDING) and math.isfinite(best.residual):
        agree = "agrees" if len(best.tensors) == 1 and numbers != "the numbers" else "agree"
        with_it = f"With it, {numbers} {agree} to {best.residual:.1e} of each tensor's largest element"
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


def _where_to_look(comparison: Comparison, case: Case) -> Iterator[str]:
    """Say which half of the computation the tensors of a case point to."""
    wrong = {each.tensor: each for each in comparison.disagreements if each.metrics is not None}
    right = {each.tensor for each in comparison.tensors} - {each.tensor for each in comparison.disagreements}
    gradients = [name for name in wrong if name not in FORWARD]
    if wrong.keys() == {"outputs"} and right and _is_covered(wrong["outputs"], case):
        yield "  The outputs alone disagree: what is returned as outputs is not what loss and gradients were made of."
    elif wrong.keys() == {"outputs"} and right:
        yield "  The outputs alone disagree, and most of all at a step that the loss does not cover."
    elif "outputs" in wrong and any(_ratio(wrong[name]) > FAR_MORE * _ratio(wrong["outputs"]) for name in gradients):
        yield "  The outputs disagree, but far less than the gradients: look at both the forward and the backward pass."
    elif "outputs" in wrong:
        yield "  The outputs disagree: begin with the forward pass, for every gradient follows from it."
    elif "loss" in wrong and "outputs" in right and _relative(wrong["loss"]) < A_SUM:
        yield f"  The outputs match, and the loss is off by {_relative(wrong['loss']):.1g} of its size."
    elif "loss" in wrong and "outputs" in right:
        yield "  The outputs match and the loss does not: look at how the loss is summed, and over which steps."
    elif "loss" in wrong:
        yield '  The loss disagrees: begin with the forward pass or the loss; return "outputs" to tell which.'
    elif wrong and "outputs" in right:
        yield "  The outputs match, so the forward pass is right: the fault is in the backward pass."
    elif wrong and "loss" in right:
        yield "  The loss matches, so the forward pass is most likely right, and the fault in the backward pass."
    elif wrong:
        yield '  Return "loss" and "outputs", too: they tell a fault of the forward pass from one of the backward pass.'


def _ratio(each: TensorComparison) -> float:
    return math.inf if each.metrics is None or math.isnan(each.metrics.error_ratio) else each.metrics.error_ratio


def _relative(each: TensorComparison) -> float:
    """The largest error relative to the right value, NaN where it is not finite."""
    return math.nan if each.metrics is None else each.metrics.max_rel_error


def _is_covered(outputs: TensorComparison, case: Case) -> bool:
    """Return whether the loss covers the worst output: it covers none past a sequence's end or at another step."""
    if not outputs.worst_index:
        return False
    b, t, _ = outputs.worst_index
    return t in case.steps and (case.lengths is None or t < case.lengths[b])
