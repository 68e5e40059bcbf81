"""A user's implementation that declares where it rounds: the verdict on two dozen problems, as an outcome of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.candidate.check.candidate import DERIVED
from harness.case import ValidCase
from harness.comparison import Comparison, TensorComparison
from harness.diagnosis import Diagnosis
from harness.execution.processes import WorkerFailed, Workers
from harness.execution.processes.messages import of_low_precision, to_diagnoses
from harness.execution.session import CaseOutcome, Judgement, Run
from harness.implementations import Implementation, Unsupported
from harness.low_precision import NoAnswerError, checked
from harness.problem.configurations import configurations
from harness.recurrences import Recurrence


def with_coarse(run: Run, implementations: Sequence[Implementation], workers: Workers) -> Run:
    """Return a run with an outcome more for each implementation that declares where it rounds."""
    if not implementations:
        return run
    found = [_asked(each, workers, _first(run, each)) for each in implementations]
    names = (*run.implementations, *(each.name for each in implementations))
    return replace(run, implementations=names, outcomes=[*run.outcomes, *found])


def _first(run: Run, implementation: Implementation) -> ValidCase:
    return next(each.case for each in run.outcomes if each.case.cell == implementation.recurrence)


def _asked(implementation: Implementation, workers: Workers, case: ValidCase) -> CaseOutcome:
    """Return the outcome of an implementation that its process checks.

    Args:
        implementation: the implementation, with ``rounds``.
        workers: the owner of the process.
        case: a case of its recurrence, for an outcome without numbers.
    """
    question = {"do": "low precision", "implementation": implementation.name}
    try:
        header = workers.ask(implementation.framework, question, {}).header
    except WorkerFailed as failure:
        return _failed(implementation, case, failure.reason, failure.detail)
    if header["status"] == "unsupported":
        return _with(case, Judgement(implementation.name, "unsupported", "unsupported", header["reason"]))
    if header["status"] != "ok":
        return _failed(implementation, case, header["reason"], header.get("detail", ""))
    return _outcome(implementation, header)


def outcome_of(implementation: Implementation, recurrence: Recurrence) -> CaseOutcome:
    """Return the outcome of an implementation that is checked in this process."""
    try:
        return _outcome(implementation, of_low_precision(checked(implementation, recurrence)))
    except (NoAnswerError, Unsupported) as reason:
        (case, *_) = configurations(recurrence)
        if isinstance(reason, NoAnswerError):
            return _failed(implementation, case, str(reason), "")
        return _with(case, Judgement(implementation.name, "unsupported", "unsupported", str(reason)))


def _outcome(implementation: Implementation, header: Mapping[str, Any]) -> CaseOutcome:
    case, diagnoses = ValidCase.from_plain(header["case"]), to_diagnoses(header["diagnoses"])
    tensors = tuple(
        TensorComparison(name, tuple(shape), case.dtype, None, None, "mismatch" if reason else "match", reason)
        for name, shape, reason in header["judged"]
    )
    if not tensors:
        return _failed(implementation, case, "it returned no tensor of the recurrence", "")
    comparison = Comparison(tensors, case=case)
    return _with(case, _judged(implementation, comparison, diagnoses, header["text"]))


def _judged(
    implementation: Implementation, comparison: Comparison, diagnoses: Sequence[Diagnosis], text: str
) -> Judgement:
    return Judgement(
        implementation.name,
        "ok",
        comparison.verdict,
        detail=text,
        comparison=comparison,
        diagnoses=tuple(diagnoses),
        promise=implementation.promise,
    )


def _failed(implementation: Implementation, case: ValidCase, reason: str, detail: str) -> CaseOutcome:
    return _with(case, Judgement(implementation.name, "error", "error", reason, detail))


def _with(case: ValidCase, judged: Judgement) -> CaseOutcome:
    return CaseOutcome(case, DERIVED, (Judgement(DERIVED, "ok", None), judged))
