"""The first case that disagrees, in full: its tensors, the worst elements, both values, the bound, and the matches."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence

from harness.candidate.check.folding import FORWARD, Fold
from harness.case import ValidCase
from harness.comparison import Comparison, TensorComparison
from harness.diagnosis import NOT_FINITE, UNEXPLAINED, Diagnosis
from harness.execution.session.examiner import BASELINE_IS_OFF, STRICTER_THAN_ROUNDING

MAX_TENSORS = 6

OWN = "own"
"""The baseline that is the implementation's own loss."""

FAR_MORE = 1e6
"""Factor between the error ratios of gradients and outputs above which the outputs alone do not explain them."""

ALL = "your numbers"
"""The name of the numbers of an answer with one explanation."""

A_SUM = 1e-6
"""Minimum relative error of a loss that is summed differently; a smaller error is a matter of digits."""


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
        yield from _indented(outcome.judged[0].detail)  # the reason, if the baseline failed
    hint = [] if judged.comparison is None else list(_where_to_look(judged.comparison, outcome.case))
    if outcome.baseline == OWN:
        hint = ["  Each number is the derivative of your loss along a random direction of that array."]
    wrong = () if judged.comparison is None else judged.comparison.disagreements
    is_forward = any(each.tensor in FORWARD for each in wrong)
    if is_forward:  # what the case computes differs, so that is first, whatever the gradients are
        yield from hint
    yield from diagnosis_lines(judged.diagnoses)
    if judged.comparison is not None:
        yield from _tensors(judged.comparison)
        yield from () if is_forward else hint
    yield ""


def diagnosis_lines(diagnoses: Sequence[Diagnosis]) -> Iterator[str]:
    """Yield the likely cause: the best explanation, and the others that fit."""
    groups = _of_the_same(diagnoses)
    for number, (best, *others) in enumerate(groups):
        if not number:
            yield ""
        numbers = ", ".join(best.tensors) if len(groups) > 1 else ALL
        yield from _best_of(best, others, "Another cause" if number else "Likely cause", numbers)


def _of_the_same(diagnoses: Sequence[Diagnosis]) -> list[list[Diagnosis]]:
    """Group diagnoses of the same tensors: these exclude each other. ``not-finite`` and ``unexplained`` each have their
    own group.
    """
    groups: list[list[Diagnosis]] = []
    for each in diagnoses:
        alike = (group for group in groups if set(group[0].tensors) & set(each.tensors))
        own = next((group for group in alike if not {NOT_FINITE, UNEXPLAINED} & {each.fault, group[0].fault}), None)
        if own is None:
            groups.append([each])
        else:
            own.append(each)
    return groups


def _best_of(best: Diagnosis, others: Sequence[Diagnosis], title: str, numbers: str) -> Iterator[str]:
    """Yield the best explanation of some tensors, and the names of the others.

    Args:
        best: the best explanation.
        others: the other explanations of the same tensors.
        title: the beginning of the line that names the fault.
        numbers: the name of the numbers that it explains.
    """
    if best.fault == UNEXPLAINED:
        unexplained = "these numbers" if numbers == ALL else numbers
        cause = f"{title}: unknown. No fault of the catalogue explains {unexplained}."
        yield from _wrapped(f"{cause}{_sentence(best.start)}")
        yield ""
        return
    yield f"  {title}: {best.fault}"
    yield from _wrapped(best.explanation, "    ")
    others = [each for each in others if set(each.fault.split(" + ")) != set(best.fault.split(" + "))]
    if others:
        same = ", ".join(dict.fromkeys(" + ".join(sorted(each.fault.split(" + "))) for each in others))
        yield from _wrapped(f"This case cannot distinguish it from: {same}.", "    ")
    if best.fault not in (BASELINE_IS_OFF, STRICTER_THAN_ROUNDING) and math.isfinite(best.residual):
        simulated = f"Simulating this fault reproduces {numbers} to {best.residual:.1e} of each tensor's maximum."
        yield from _wrapped(f"{simulated}{_sentence(best.start)}", "    ")
    if best.declare:
        yield f"    If this is intended, declare it in the case: {best.declare}"
    yield ""


def _sentence(text: str) -> str:
    """Return a text as a sentence that follows another; empty if there is no text."""
    return f" {text[0].upper()}{text[1:]}." if text else ""


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, 110, initial_indent=indent, subsequent_indent=indent)


def _indented(text: str) -> Iterator[str]:
    return (f"  {line}" for line in text.rstrip().splitlines())


def _tensors(comparison: Comparison) -> Iterator[str]:
    wrong = sorted(comparison.disagreements, key=lambda each: each.tensor not in FORWARD)
    for each in wrong[:MAX_TENSORS]:
        yield from _tensor(each)
    if len(wrong) > MAX_TENSORS:
        yield f"  {len(wrong) - MAX_TENSORS} more: {', '.join(each.tensor for each in wrong[MAX_TENSORS:])}"
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


def _where_to_look(comparison: Comparison, case: ValidCase) -> Iterator[str]:
    """Yield which half of the computation the tensors of a case point to."""
    wrong = {each.tensor: each for each in comparison.disagreements if each.metrics is not None}
    right = {each.tensor for each in comparison.tensors} - {each.tensor for each in comparison.disagreements}
    gradients = [name for name in wrong if name not in FORWARD]
    if wrong.keys() == {"outputs"} and right and _is_covered(wrong["outputs"], case):
        yield "  Only the outputs disagree: loss and gradients were computed from other outputs than those returned."
    elif wrong.keys() == {"outputs"} and right:
        yield "  Only the outputs disagree. Their largest error is at a step that the loss does not cover."
    elif "outputs" in wrong and any(_ratio(wrong[name]) > FAR_MORE * _ratio(wrong["outputs"]) for name in gradients):
        yield "  The outputs disagree, but far less than the gradients: check both the forward and the backward pass."
    elif "outputs" in wrong:
        yield "  The outputs disagree: check the forward pass first, because every gradient depends on it."
    elif "loss" in wrong and "outputs" in right and _relative(wrong["loss"]) < A_SUM:
        yield f"  The outputs match; the loss has a relative error of {_relative(wrong['loss']):.1g}."
    elif "loss" in wrong and "outputs" in right:
        yield "  The outputs match, but the loss does not: check how the loss is summed, and over which steps."
    elif "loss" in wrong:
        yield '  The loss disagrees: check the forward pass and the loss. Return "outputs", too, to see which is wrong.'
    elif wrong and "outputs" in right:
        yield "  The outputs match, so the forward pass is right: the fault is in the backward pass."
    elif wrong and "loss" in right:
        yield "  The loss matches, so the forward pass is probably right: look for the fault in the backward pass."
    elif wrong:
        yield '  Return "loss" and "outputs", too: they show whether the fault is in the forward or the backward pass.'


def _ratio(each: TensorComparison) -> float:
    return math.inf if each.metrics is None or math.isnan(each.metrics.error_ratio) else each.metrics.error_ratio


def _relative(each: TensorComparison) -> float:
    """Return the largest error relative to the right value; NaN if it is not finite."""
    return math.nan if each.metrics is None else each.metrics.max_rel_error


def _is_covered(outputs: TensorComparison, case: ValidCase) -> bool:
    """Return whether the loss covers the worst output, by its step and the length of its sequence."""
    if not outputs.worst_index:
        return False
    b, t, _ = outputs.worst_index
    return t in case.steps and (case.lengths is None or t < case.lengths[b])
