"""A user's gradients held against the user's own forward pass, whatever the case computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy import ndarray

from harness.candidate.check.candidate import Candidate
from harness.candidate.check.first import OWN
from harness.candidate.own_forward import ALONG, ERROR, OF_LOSS
from harness.candidate.own_loss import named_after_derivatives
from harness.case import ValidCase
from harness.comparison import Comparison, ComparisonPolicy, Verdict, compare
from harness.diagnosis import UNEXPLAINED, Diagnosis
from harness.execution.processes import WorkerFailed, Workers
from harness.execution.processes.messages import of_problem
from harness.execution.session import CaseOutcome, Judgement, Run
from harness.implementations import Implementation, Partial
from harness.problem import build

OWN_FORWARD_PASS = "own-forward-pass"

FORWARD = ("outputs", "loss")

MOST_ASKED = 3
"""Maximum of cases of a run in which the own forward pass is asked for, since it is called many times."""


def held_against(derivatives: Mapping[str, ndarray]) -> Comparison:
    """Compare the gradients' derivatives along each direction with the own loss's, tensor by tensor, (K,) each."""
    actual = {name: each[ALONG] for name, each in derivatives.items()}
    expected = {
        name: Partial(each[OF_LOSS], np.isfinite(each[OF_LOSS]), np.nan_to_num(each[ERROR]))
        for name, each in derivatives.items()
    }
    policy = ComparisonPolicy(complete=False, own_dtype=True)
    return named_after_derivatives(compare(actual, expected, policy))


def runs(cases: Sequence[ValidCase], candidate: Candidate, workers: Workers) -> Iterator[Run]:
    """Judge implementations by their own losses alone; yield the run, growing by a case at a time."""
    names = tuple(each.name for each in candidate.implementations)
    run = Run(OWN, (OWN, *names))
    run.processes = dict.fromkeys(run.implementations, candidate.implementations[0].framework.name)
    yield run
    for case in cases:
        judged = tuple(_judged(each, case, workers) for each in candidate.implementations)
        run.outcomes.append(CaseOutcome(case, OWN, (Judgement(OWN, "ok", None), *judged)))
        yield run
    run.versions, run.seconds_to_import = workers.versions(), workers.seconds_to_import()
    yield run


def with_own_forward_pass(run: Run, candidate: Candidate, workers: Workers) -> Run:
    """Return a run whose unexplained forward passes are held against themselves, in its first cases."""
    asked, outcomes = 0, []
    own = {each.name: each for each in candidate.implementations}
    for outcome in run.outcomes:
        judged = []
        for each in outcome.judged:
            if each.implementation in own and _is_another(each) and asked < MOST_ASKED:
                asked += 1
                found = _compared(own[each.implementation], outcome.case, workers)
                each = replace(each, diagnoses=_with(each.diagnoses, found, each))
            judged.append(each)
        outcomes.append(replace(outcome, judged=tuple(judged)))
    return replace(run, outcomes=outcomes)


def _is_another(judged: Judgement) -> bool:
    """Return whether an implementation has another forward pass than the case's, which no fault explains."""
    unexplained = any(each.fault == UNEXPLAINED for each in judged.diagnoses)
    tensors = () if judged.comparison is None else judged.comparison.tensors
    of_forward = {each.tensor: each.verdict != "match" for each in tensors if each.tensor in FORWARD}
    # Beside right outputs, a wrong loss is no other forward pass.
    return unexplained and of_forward.get("outputs", of_forward.get("loss", False))


def _with(diagnoses: tuple[Diagnosis, ...], found: Comparison | str, judged: Judgement) -> tuple[Diagnosis, ...]:
    """Put first what the own forward pass shows, if it shows anything."""
    if isinstance(found, str) or judged.comparison is None:
        return diagnoses
    differs = ", ".join(each.tensor for each in judged.comparison.disagreements if each.tensor in FORWARD)
    compared = {each.tensor for each in found.tensors}
    wrong = {each.tensor for each in found.disagreements}
    right = [each.tensor for each in judged.comparison.tensors if each.tensor in compared - wrong]
    text = f"Your gradients are right for your own forward pass; it differs from the case's in {differs}."
    residuals = {each.tensor: 0.0 for each in judged.comparison.disagreements if each.tensor in right}
    if wrong:
        names = [each.tensor for each in judged.comparison.tensors if each.tensor in wrong]
        text = f"For your own forward pass, which differs from the case's in {differs}, {', '.join(right) or 'none'} "
        text += f"{'is' if len(right) == 1 else 'are'} right and {', '.join(names)} "
        text += f"{'is' if len(names) == 1 else 'are'} wrong."
    advice = "`--baseline own` judges by your own forward pass alone."
    named = Diagnosis(OWN_FORWARD_PASS, f"{text} {advice}", residuals)
    if wrong:
        return (named, *diagnoses)
    return (named, *(each for each in diagnoses if each.fault != UNEXPLAINED))


def _judged(implementation: Implementation, case: ValidCase, workers: Workers) -> Judgement:
    if reason := implementation.reason_against(case):
        return Judgement(implementation.name, "unsupported", "unsupported", reason)
    found = _compared(implementation, case, workers)
    if isinstance(found, Comparison):
        return Judgement(implementation.name, "ok", found.verdict, comparison=found, promise=implementation.promise)
    status, _, reason = found.partition(": ")
    verdict: Verdict = "unsupported" if status == "unsupported" else "error"
    return Judgement(implementation.name, verdict, verdict, reason)


def _compared(implementation: Implementation, case: ValidCase, workers: Workers) -> Comparison | str:
    """Return how gradients compare with the own loss's, or the status and the reason why they do not."""
    header, arrays = of_problem(build(case, workers.native_weights))
    question = {"do": "own", "implementation": implementation.name, **header}
    try:
        answer = workers.ask(implementation.framework, question, arrays)
    except WorkerFailed as failure:
        return f"error: {failure.reason}"
    if answer.header["status"] != "ok":
        return f"{answer.header['status']}: {answer.header['reason']}"
    return held_against(answer.arrays)
