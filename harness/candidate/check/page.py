"""The page that ``harness check`` prints: remarks, one line a case, the first disagreement in full, what to do next.

What is alike is told once. Someone who has just written a first RNN should find the one line to look at.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.candidate.check import folding
from harness.candidate.check.candidate import Candidate
from harness.candidate.check.first import in_full
from harness.candidate.check.folding import Fold
from harness.case import Case
from harness.casefile.typed import called
from harness.diagnosis import UNEXPLAINED, faults
from harness.execution.session import CaseOutcome, Judgement, Run
from harness.report import of_run
from harness.report.overview import explained, remarks

MAX_REASON = 110
MAX_OTHERS = 5
MAX_REFUSED = 4
"""Files with unsupported cases that are told one by one."""

WRONG = ("mismatch", "error")

SUPPORTED = ("bidirectional", "cell", "activation", "readout")
"""Fields of a case that ``supports`` is advised for."""

NEARLY_RIGHT = 1e-6
"""The largest error, relative to the largest output, of outputs that are nearly those of the case."""


def lines(run: Run, candidate: Candidate) -> Iterator[str]:
    """Yield the page of a run, line by line, but for the closing line."""
    layouts = "" if candidate.recurrences else f", layout {candidate.implementations[0].layout}"
    yield f"{candidate.place}{layouts}, against {run.baseline}"
    yield ""
    if candidate.recurrences and candidate.implementations:
        yield from _oracles(run, candidate)
        run = only_its_own(run, candidate)
    yield from _remarks(run)
    yield from _cases(run)
    wrong = [fold for fold in folding.alike(run.comparisons) if fold.verdict in WRONG]
    if wrong:
        yield from in_full(wrong[0])
        yield from _others(wrong)
        yield from _faults(run)
        yield from _meant_for(run)
    yield from _not_provided(run)


def only_its_own(run: Run, candidate: Candidate) -> Run:
    """Return a run without the routes that a recurrence is checked by, if the file has implementations of its own."""
    own = {each.name for each in candidate.implementations}
    if not own:
        return run
    kept = (
        tuple(each for each in o.judged if each.verdict is None or each.implementation in own) for o in run.outcomes
    )
    return replace(run, outcomes=[replace(o, judged=judged) for o, judged in zip(run.outcomes, kept, strict=True)])


def _oracles(run: Run, candidate: Candidate) -> Iterator[str]:
    """Say whether the routes that share nothing with the baseline's backward pass agree with it."""
    own = {each.name for each in candidate.implementations}
    others = [(outcome, judged) for outcome, judged in run.comparisons if judged.implementation not in own]
    for name in dict.fromkeys(judged.implementation for _, judged in others):
        judged = [each for _, each in others if each.implementation == name]
        wrong = [each for each in judged if each.verdict != "match"]
        if wrong:
            yield f"{name} does not agree with {run.baseline}: {wrong[0].reason or wrong[0].comparison}"
        else:
            yield f"{name}, which has no backward pass, agrees with {run.baseline} on all {len(judged)} problems"
    yield ""


def conclusion(run: Run) -> str:
    """Return how the run came out, in one sentence."""
    counts = Counter(str(judged.verdict) for _, judged in run.comparisons)
    cases = len(run.outcomes)
    if not run.tensors_compared and not run.failed_implementations:
        return f"Nothing was compared in {cases} cases."
    found = ", ".join(f"{counts[each]} {each}" for each in (*reversed(WRONG), "match", "unsupported") if counts[each])
    compared = f"{run.tensors_compared} tensors, {run.elements_compared} elements compared"
    return f"{cases} {'case' if cases == 1 else 'cases'}: {found}; {compared}."


def command(file: str, options: Sequence[str]) -> str:
    """Return the command for a file, as it is typed before the cases."""
    dashed = ["--"] if file.startswith("-") else []
    return " ".join(["harness check", *options, *dashed, shlex.quote(file)])


def next_command(run: Run, file: str, cases: Sequence[str], options: Sequence[str] = ()) -> str:
    """Return what to type next; ``options`` as they were given."""
    check = command(file, options)
    made = any(outcome.case.recurrence is not None for outcome in run.outcomes)
    if made and not run.tensors_compared:
        return check
    wrong = [outcome for outcome, judged in run.comparisons if judged.verdict in WRONG]
    if made:
        name = run.outcomes[0].case.cell
        if wrong:
            return f"after fixing it, run: {' '.join([check, *map(shlex.quote, cases)])}"
        return (
            f"{check}, on problems made for {name}"
            if cases
            else f"harness.assert_gradients_match(..., {name}) in your own tests"
        )
    if wrong and len(run.outcomes) > 1:
        case = shlex.quote(_to_type(wrong[0]))
        return f"{check} {case}" if file.startswith("-") else called(check, case)
    if wrong:
        dashed = ["--"] if any(case.startswith("-") for case in cases) and not file.startswith("-") else []
        return " ".join([check, *dashed, *map(shlex.quote, cases)]) + ", when it is mended"
    if not run.tensors_compared:
        return "harness list cases"
    if cases:
        return f"{check}, over all cases" if Path("cases").is_dir() else f"{check} basic cells, over more cases"
    most = json.dumps(_tells_most(run), ensure_ascii=False)  # a text in Python, too
    return f"harness.assert_gradients_match(..., {most}) keeps it so in your own tests"


def _tells_most(run: Run) -> str:
    """Return the file that compares most tensors among those that match as a whole; a case of one if none does."""
    matched = [(outcome, judged) for outcome, judged in run.comparisons if judged.verdict == "match"]
    not_whole = {outcome.case.file for outcome, judged in run.comparisons if judged.verdict != "match"}
    whole = [pair for pair in matched if pair[0].case.file not in not_whole]
    outcome, _ = max(whole or matched, key=lambda pair: len(pair[1].comparison.tensors) if pair[1].comparison else 0)
    return outcome.case.file if whole else f"{outcome.case.file}{folding.combination(outcome)}"


def _to_type(outcome: CaseOutcome) -> str:
    """How a case is named on the command line: by its name if it is found so from here, else by its file."""
    name, combination = folding.file_name(outcome), folding.combination(outcome)
    here = any(Path(folder, f"{name}.yaml").is_file() for folder in ("", "cases"))
    return outcome.case.name if here else f"{outcome.case.file}{combination}"


def _remarks(run: Run) -> Iterator[str]:
    noticed = remarks(of_run(run))
    if noticed:
        yield "First of all:"
        for each in noticed:
            where = f"on {each.case}" if each.cases == 1 else f"on {each.cases} cases, {each.case} for one"
            yield f"  ! {each.text} ({where})"
        yield ""


def _cases(run: Run) -> Iterator[str]:
    folds = folding.alike_by_file(run.comparisons)
    refused = [fold for _, fold in folds if fold.verdict == "unsupported"]
    together = len(refused) > MAX_REFUSED
    told = [pair for pair in folds if not (together and pair[1].verdict == "unsupported")]
    width = max((len(folding.file_name(fold.first[0])) for _, fold in told), default=0)
    for of_file, fold in told:
        name = folding.file_name(fold.first[0])
        yield f"  {fold.verdict:<11}  {name:<{width}}  {_which(of_file, fold)}{_summary(fold)}"
    if together:
        reasons = Counter(judged.reason for fold in refused for _, judged in fold.pairs)
        yield f"  {'unsupported':<11}  {reasons.total()} cases of {len(refused)} files:"
        yield from (f"  {'':<11}    {count:>4}  {_short(reason)}" for reason, count in reasons.most_common())
    yield ""


def _which(of_file: Fold, fold: Fold) -> str:
    """Say which cases of their file these are."""
    count, of = len(fold.pairs), len(of_file.pairs)
    if count == of:
        return f"{of} cases: " if of > 1 else ""
    return f"{count} of {of} cases ({folding.described_among(fold, of_file.pairs)}): "


def _summary(fold: Fold) -> str:
    _, judged = fold.first
    if fold.verdict == "unsupported":
        reasons = list(dict.fromkeys(each.reason for _, each in fold.pairs))
        return _short("; ".join(reasons))
    if judged.comparison is None or (judged.verdict == "error" and judged.reason):
        return _short(judged.reason)
    if fold.verdict == "match":
        return f"{len(judged.comparison.tensors)} tensors"
    return ", ".join(fold.tensors)


def _others(wrong: list[Fold]) -> Iterator[str]:
    """Count what is wrong beside the first case: more cases in the same way, and in other ways."""
    more = wrong[0].pairs[1:]
    if more:
        files = Counter(folding.file_name(outcome) for outcome, _ in more)
        where = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in files.items())
        yield f"The same in {len(more)} other {'case' if len(more) == 1 else 'cases'}: {where}"
        yield ""
    if others := wrong[1:]:
        yield "Otherwise:"
        for fold in others[:MAX_OTHERS]:
            cases = f"{len(fold.pairs)} {'case' if len(fold.pairs) == 1 else 'cases'}, {fold.first[0].case.name} first"
            named = [each.fault for each in fold.first[1].diagnoses[:1]]
            yield f"  {fold.verdict} in {cases}: {_summary(fold)}{f' ({named[0]})' if named else ''}"
        if len(others) > MAX_OTHERS:
            yield f"  … and {len(others) - MAX_OTHERS} more ways"
        yield ""


def _faults(run: Run) -> Iterator[str]:
    """Count what explains the cases, where there is more than the first."""
    faults = explained(of_run(run), documented=False)
    if sum(each.cases for each in faults) > 1:
        counted = [f"{each.fault} in {each.cases} {'case' if each.cases == 1 else 'cases'}" for each in faults]
        yield f"Over all cases: {', '.join(counted[:MAX_OTHERS])}{', …' if len(counted) > MAX_OTHERS else ''}"
        yield ""


def _meant_for(run: Run) -> Iterator[str]:
    """Say how to leave out cases, where some are computed rightly forward and others not at all."""
    wrong = [pair for pair in run.comparisons if pair[1].verdict in WRONG]
    forward = [_of_outputs(judged) for _, judged in run.comparisons]
    if "match" not in forward:
        return
    if divides := _dividing_field(run):
        yield divides
        yield ""
    elif any(_computes_something_else(judged) for _, judged in wrong):
        yield 'Are there cases that it is not meant for? raise harness.Unsupported("only tanh") there, and say why.'
        yield ""


def _of_outputs(judged: Judgement) -> str | None:
    """Return the verdict on the outputs; None if they were not compared."""
    tensors = () if judged.comparison is None else judged.comparison.tensors
    return {each.tensor: str(each.verdict) for each in tensors}.get("outputs")


def _computes_something_else(judged: Judgement, about: str = "") -> bool:
    """Return whether the forward pass is not that of the case, and no mistake in it explains that.

    Args:
        judged: the implementation on the case.
        about: the module of faults that are about what is asked for.
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
    named = [faults()[name].__module__.rpartition(".")[2] for name in best.fault.split(" + ") if name in faults()]
    return about in named


DIVIDING: dict[str, tuple[Callable[[Case], object], str]] = {
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
"""Fields of a case that may divide cases that fail from others, each with the module of its faults."""


def _dividing_field(run: Run) -> str:
    """Name the field of the case that what fails differs in from what is right; nothing if it is not just one."""
    wrong = [(outcome.case, judged) for outcome, judged in run.comparisons if judged.verdict in WRONG]
    right = [outcome.case for outcome, judged in run.comparisons if judged.verdict == "match"]
    found = []
    for name, (of, about) in DIVIDING.items():
        failing, passing = (dict.fromkeys(map(of, cases)) for cases in ([case for case, _ in wrong], right))
        if failing and passing and not failing.keys() & passing.keys():
            found.append((name, about, list(failing), tuple(passing)))
    if len(found) != 1:  # of several, any may be it by chance
        return ""
    ((name, about, values, others),) = found
    if not all(_computes_something_else(judged, about) for _, judged in wrong):
        return ""
    if name == "lengths" and values == [True]:
        return (
            "All that fails has lengths, and all else is right. If it is not meant for sequences of unequal length, "
            'raise harness.Unsupported("only sequences of equal length") where problem.lengths is not None.'
        )
    if name not in SUPPORTED:
        return ""
    return (
        f"All that fails has {name} {' or '.join(map(str, values))}, and all else is right. If it is not "
        f"meant for {'that' if len(values) == 1 else 'those'}, say "
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
        yield f"Not provided, and not compared: {shown}"
        yield ""


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_REASON else f"{text[: MAX_REASON - 1]}…"
