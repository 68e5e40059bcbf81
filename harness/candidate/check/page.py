"""The page that ``harness check`` prints: warnings, a line for each case, the first disagreement in full.

Equal results share a line. The page should lead the author of a first RNN to the line to look at.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from harness.candidate.check import folding
from harness.candidate.check.candidate import ORACLES, Candidate
from harness.candidate.check.folding import Fold
from harness.case import ValidCase, typed
from harness.casefile.typed import called
from harness.diagnosis import UNEXPLAINED
from harness.execution.session import Judgement, Run
from harness.terminal.words import counted

MAX_REASON = 110
MAX_OTHERS = 5
MAX_REFUSED = 4
"""Maximum number of files whose unsupported cases are listed one by one."""

WRONG = ("mismatch", "error")

SUPPORTED = ("bidirectional", "cell", "activation", "readout")
"""Fields of a case for which the page suggests ``supports``."""

NEARLY_RIGHT = 1e-6
"""Maximum error of nearly right outputs, relative to the largest output."""


def lines(run: Run, candidate: Candidate) -> Iterator[str]:
    """Yield the page of a run, line by line, without the closing lines."""
    layout = "" if candidate.recurrences else f" (layout {candidate.implementations[0].layout})"
    yield f"{candidate.place}{layout}, compared with {run.baseline}"
    yield ""
    if candidate.recurrences:
        yield from _oracles(run, candidate)
        run = only_its_own(run, candidate)
    yield from _remarks(run)
    yield from _cases(run)
    yield from _right_in_low_precision(run)
    wrong = [fold for fold in folding.alike(run.comparisons) if fold.verdict in WRONG]
    if wrong:
        from harness.candidate.check.first import in_full

        yield from in_full(wrong[0])
        yield from _others(wrong)
        yield from _faults(run)
        if not candidate.recurrences:
            yield from _meant_for(run)
    yield from _not_provided(run)


def only_its_own(run: Run, candidate: Candidate) -> Run:
    """Return a run without the oracles; of a file without an implementation, with the first oracle alone."""
    if not candidate.recurrences:
        return run
    own = {each.name for each in candidate.implementations} or {next(iter(ORACLES))}
    kept = (
        tuple(each for each in o.judged if each.verdict is None or each.implementation in own) for o in run.outcomes
    )
    return replace(run, outcomes=[replace(o, judged=judged) for o, judged in zip(run.outcomes, kept, strict=True)])


def _oracles(run: Run, candidate: Candidate) -> Iterator[str]:
    """Yield whether the oracles agree with the baseline; one that cannot answer a problem says why."""
    own = {each.name for each in candidate.implementations}
    others = [(outcome, judged) for outcome, judged in run.comparisons if judged.implementation not in own]
    for name in dict.fromkeys(judged.implementation for _, judged in others):
        judged = [each for _, each in others if each.implementation == name]
        wrong = [each for each in judged if each.verdict not in ("match", "unsupported")]
        without = [each for each in judged if each.verdict == "unsupported"]
        if failed := [each for each in judged if each.verdict == "error" and each.comparison is None]:
            yield f"{name} is unknown in {len(failed)} of {len(judged)} problems: {failed[0].reason}"
        elif len(without) == len(judged):
            yield f"{name} has no answer: {without[0].reason}"
        elif wrong:
            yield f"{name} disagrees with {run.baseline}: {wrong[0].reason or wrong[0].comparison}"
        else:
            found = f"{len(judged) - len(without)} of " if without else "all " if len(judged) > 1 else ""
            why = f"; on others {without[0].reason}" if without else ""
            problems = f"{found}{counted(len(judged), 'problem')}{why}"
            yield f"{name}, {ORACLES[name]} agrees with {run.baseline} on {problems}"
    if others:
        yield ""


def conclusion(run: Run) -> str:
    """Return the result of the run in one sentence."""
    counts = Counter(str(judged.verdict) for _, judged in run.comparisons)
    cases = len(run.outcomes)
    if not run.tensors_compared and not run.failed_implementations:
        return f"Nothing was compared in {counted(cases, 'case')}."
    found = ", ".join(f"{counts[each]:,} {each}" for each in (*reversed(WRONG), "match", "unsupported") if counts[each])
    compared = f"{counted(run.tensors_compared, 'tensor')} and {counted(run.elements_compared, 'element')} compared"
    result = "Failed" if run.failed_implementations or any(counts[each] for each in WRONG) else "Passed"
    return f"{result}: {found} in {counted(cases, 'case')}; {compared}."


def command(file: str, options: Sequence[str]) -> str:
    """Return the command for a file, without the cases."""
    dashed = ["--"] if file.startswith("-") else []
    return " ".join(["harness check", *options, *dashed, shlex.quote(file)])


def next_step(run: Run, file: str, cases: Sequence[str], options: Sequence[str] = ()) -> str:
    """Return a line with the next step; ``options`` are those of the command line."""
    check = command(file, options)
    made = any(outcome.case.recurrence is not None for outcome in run.outcomes)
    if made and not run.tensors_compared:
        return f"To check it again, run: {' '.join([check, *map(shlex.quote, cases)])}"
    wrong = [outcome for outcome, judged in run.comparisons if judged.verdict in WRONG]
    if made:
        name = run.outcomes[0].case.cell
        if wrong:
            return f"After fixing it, run: {' '.join([check, *map(shlex.quote, cases)])}"
        if cases:
            return f"To check it on problems made for {name}, run: {check}"
        return f"In your own tests, call: harness.assert_gradients_match(..., {name})"
    if wrong and len(run.outcomes) > 1:
        case = shlex.quote(typed(wrong[0].case))
        return f"After fixing it, run: {f'{check} {case}' if file.startswith('-') else called(check, case)}"
    if wrong:
        dashed = ["--"] if any(case.startswith("-") for case in cases) and not file.startswith("-") else []
        return f"After fixing it, run: {' '.join([check, *dashed, *map(shlex.quote, cases)])}"
    if not run.tensors_compared:
        return "To see all cases, run: harness list cases"
    if cases:
        return f"To check all cases, run: {check}"
    most = json.dumps(_strongest(run), ensure_ascii=False)  # a text in Python, too
    return f"In your own tests, call: harness.assert_gradients_match(..., {most})"


def _strongest(run: Run) -> str:
    """Return the name of the file that compares most tensors among those that match as a whole; else of a case."""
    matched = [(outcome, judged) for outcome, judged in run.comparisons if judged.verdict == "match"]
    not_whole = {outcome.case.file for outcome, judged in run.comparisons if judged.verdict != "match"}
    whole = [pair for pair in matched if pair[0].case.file not in not_whole]
    outcome, _ = max(whole or matched, key=lambda pair: len(pair[1].comparison.tensors) if pair[1].comparison else 0)
    name = typed(outcome.case)
    return name.removesuffix(folding.combination(outcome)) if whole else name


def _remarks(run: Run) -> Iterator[str]:
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for outcome, judged in run.comparisons:
        for each in judged.remarks:
            found.setdefault((judged.implementation, each.kind), []).append((outcome.case.name, each.text))
    if found:
        yield "Warnings:"
        for (case, text), *more in found.values():
            where = f"on {len(more) + 1:,} cases, such as {case}" if more else f"on {case}"
            yield f"  ! {text} ({where})"
        yield ""


def _cases(run: Run) -> Iterator[str]:
    folds = folding.alike_by_file(run.comparisons)
    refused = [fold for _, fold in folds if fold.verdict == "unsupported"]
    together = len(refused) > MAX_REFUSED
    listed = [pair for pair in folds if not (together and pair[1].verdict == "unsupported")]
    width = max((len(folding.file_name(fold.first[0])) for _, fold in listed), default=0)
    for of_file, fold in listed:
        name = folding.file_name(fold.first[0])
        yield f"  {fold.verdict:<11}  {name:<{width}}  {_which(of_file, fold)}{_summary(fold)}"
    if together:
        reasons = Counter(judged.reason for fold in refused for _, judged in fold.pairs)
        yield f"  {'unsupported':<11}  {reasons.total():,} cases in {len(refused):,} files:"
        yield from (f"  {'':<11}    {count:>5,}  {_short(reason)}" for reason, count in reasons.most_common())
    yield ""


def _right_in_low_precision(run: Run) -> Iterator[str]:
    """Yield the errors of each right answer in low precision, and the factors that its check sees."""
    for _, judged in run.comparisons:
        if judged.verdict == "match" and judged.detail:
            yield judged.detail
            yield ""


def _which(of_file: Fold, fold: Fold) -> str:
    """Return which cases of their file these are."""
    count, of = len(fold.pairs), len(of_file.pairs)
    if count == of:
        return f"{of:,} cases: " if of > 1 else ""
    return f"{count:,} of {of:,} cases ({folding.described_among(fold, of_file.pairs)}): "


def _summary(fold: Fold) -> str:
    _, judged = fold.first
    if fold.verdict == "unsupported":
        reasons = list(dict.fromkeys(each.reason for _, each in fold.pairs))
        return _short("; ".join(reasons))
    if judged.comparison is None or (judged.verdict == "error" and judged.reason):
        return _short(judged.reason)
    if fold.verdict == "match":
        return counted(len(judged.comparison.tensors), "tensor")
    return ", ".join(fold.tensors)


def _others(wrong: list[Fold]) -> Iterator[str]:
    """Count the other wrong cases: those with the result of the first, and those with another one."""
    more = wrong[0].pairs[1:]
    if more:
        files = Counter(folding.file_name(outcome) for outcome, _ in more)
        where = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in files.items())
        yield f"Same result in {counted(len(more), 'other case')}: {where}"
        yield ""
    if others := wrong[1:]:
        yield "Other results:"
        for fold in others[:MAX_OTHERS]:
            cases = f"{counted(len(fold.pairs), 'case')}, first in {fold.first[0].case.name}"
            named = [each.fault for each in fold.first[1].diagnoses[:1]]
            yield f"  {fold.verdict} in {cases}: {_summary(fold)}{f' ({named[0]})' if named else ''}"
        if len(others) > MAX_OTHERS:
            yield f"  … and {len(others) - MAX_OTHERS:,} more"
        yield ""


def _faults(run: Run) -> Iterator[str]:
    """Count the likely causes, if more than one case has one."""
    best = Counter(
        (judged.implementation, judged.diagnoses[0].fault)
        for outcome, judged in run.comparisons
        if judged.diagnoses and not outcome.as_expected
    )
    if best.total() > 1:
        ordered = sorted(best.items(), key=lambda each: (each[0][0], -each[1]))
        counts = [f"{fault} in {counted(cases, 'case')}" for (_, fault), cases in ordered]
        more = ", …" if len(counts) > MAX_OTHERS else ""
        yield f"Likely causes over all cases: {', '.join(counts[:MAX_OTHERS])}{more}"
        yield ""


def _meant_for(run: Run) -> Iterator[str]:
    """Yield how to leave out cases, if the forward pass is right for some cases and a different one for others."""
    wrong = [pair for pair in run.comparisons if pair[1].verdict in WRONG]
    forward = [_of_outputs(judged) for _, judged in run.comparisons]
    if "match" not in forward:
        return
    if divides := _dividing_field(run):
        yield divides
        yield ""
    elif any(_computes_something_else(judged) for _, judged in wrong):
        yield 'For cases outside its scope, raise harness.Unsupported("only tanh"), with the reason.'
        yield ""


def _of_outputs(judged: Judgement) -> str | None:
    """Return the verdict on the outputs; None if they were not compared."""
    tensors = () if judged.comparison is None else judged.comparison.tensors
    return {each.tensor: str(each.verdict) for each in tensors}.get("outputs")


def _computes_something_else(judged: Judgement, about: str = "") -> bool:
    """Return whether the forward pass computes something other than the case, without a mistake that explains it.

    Args:
        judged: the implementation on the case.
        about: the module of faults about the field of the case in question.
    """
    if judged.comparison is None:
        return judged.verdict == "error"
    if _of_outputs(judged) not in WRONG:
        return False
    best = next((each for each in judged.diagnoses if "outputs" in each.tensors), None)
    if best is None or best.declare:
        return True
    if best.fault == UNEXPLAINED:
        return not best.residuals["outputs"] < NEARLY_RIGHT
    from harness.diagnosis.faults import faults  # which a right answer does not need

    named = [faults()[name].__module__.rpartition(".")[2] for name in best.fault.split(" + ") if name in faults()]
    return about in named


DIVIDING: dict[str, tuple[Callable[[ValidCase], object], str]] = {
    "bidirectional": (lambda case: case.bidirectional, "directions"),
    "cell": (lambda case: case.cell, ""),
    "activation": (lambda case: case.activation, ""),
    "readout": (lambda case: case.readout, ""),
    "lengths": (lambda case: case.lengths is not None, "padding"),
    "layers": (lambda case: case.layers, ""),
    "dtype": (lambda case: case.dtype, ""),
    "loss": (lambda case: case.loss.kind, ""),
    "truncation": (lambda case: str(case.truncation), ""),
}
"""Fields of a case that may separate failing cases from others, each with the module of its faults."""


def _dividing_field(run: Run) -> str:
    """Return advice on the one field that separates failing cases from right ones; empty if it is not just one."""
    wrong = [(outcome.case, judged) for outcome, judged in run.comparisons if judged.verdict in WRONG]
    right = [outcome.case for outcome, judged in run.comparisons if judged.verdict == "match"]
    found = []
    for name, (of, about) in DIVIDING.items():
        failing, passing = (dict.fromkeys(map(of, cases)) for cases in ([case for case, _ in wrong], right))
        if failing and passing and not failing.keys() & passing.keys():
            found.append((name, about, list(failing), tuple(passing)))
    if len(found) != 1:  # with several, each may separate them by chance
        return ""
    ((name, about, values, others),) = found
    if not all(_computes_something_else(judged, about) for _, judged in wrong):
        return ""
    if name == "lengths" and values == [True]:
        return (
            "Only cases with lengths fail. If your implementation does not support sequences of unequal length, "
            'raise harness.Unsupported("only sequences of equal length") where problem.lengths is not None.'
        )
    if name not in SUPPORTED:
        return ""
    return (
        f"Only cases with {name} {' or '.join(map(str, values))} fail. If your implementation does not support "
        f"{'that' if len(values) == 1 else 'those'}, declare it: "
        f"@harness.implementation(..., supports={{{name!r}: {others!r}}})."
    )


def _not_provided(run: Run) -> Iterator[str]:
    absent: dict[tuple[str, ...], int] = {}
    for _, judged in run.comparisons:
        if judged.comparison is not None and judged.comparison.not_provided:
            kinds = tuple(judged.comparison.not_provided)
            absent[kinds] = absent.get(kinds, 0) + 1
    if absent:
        names = list(dict.fromkeys(name for each in absent for name in each))
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        yield f"Not returned, so not compared: {shown}"
        yield ""


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_REASON else f"{text[: MAX_REASON - 1]}…"
