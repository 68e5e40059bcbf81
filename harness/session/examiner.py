"""Mismatches become diagnoses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from harness.diagnosis import UNEXPLAINED, Diagnosis, Predictions, diagnose
from harness.result import Result
from harness.session.outcomes import CaseOutcome, Judged, Run

BASELINE_IS_OFF = "baseline-is-off"

CLIPPING = ("clipped", "factor")
"""Faults that clipping shows as: into a limit, and to a norm, which scales every gradient alike."""

MOST_UNEXPLAINED = 3
"""What is unexplained on so many cases is not searched for in pairs on yet another."""


class Examiner:
    """Explains the mismatches of a run, case by case.

    An implementation that is wrong on one case is likely wrong in the same way on the next, so what explained the
    last is tried first.
    """

    def __init__(self) -> None:
        self._likely: dict[str, tuple[str, ...]] = {}
        self._unexplained: Counter[str] = Counter()

    def examined(self, outcome: CaseOutcome) -> CaseOutcome:
        """Return an outcome with a diagnosis for each mismatch."""
        evidence = outcome.evidence
        if evidence is None or not evidence.to_explain:
            return outcome
        predictions = Predictions(evidence.problem, evidence.noise)
        judged = tuple(
            _with_diagnoses(each, self.explained(each.implementation, evidence.results, predictions))
            if each.implementation in evidence.to_explain
            else each
            for each in outcome.judged
        )
        return replace(outcome, judged=judged)

    def explained(self, name: str, results: Mapping[str, Result], predictions: Predictions) -> list[Diagnosis]:
        """Explain what one implementation returned for one problem."""
        thorough = self._unexplained[name] < MOST_UNEXPLAINED
        found = diagnose_result(results[name], predictions, self._likely.get(name, ()), thorough=thorough)
        if found[0].fault == UNEXPLAINED:
            self._unexplained[name] += 1
        else:
            self._likely[name] = tuple(fault for each in found for fault in each.fault.split(" + "))
        return found


def _with_diagnoses(judged: Judged, found: list[Diagnosis]) -> Judged:
    """Add what was found; a remark that gradients look clipped gives way to an explanation that clipping is not."""
    clipping = any(fault in (UNEXPLAINED, *CLIPPING) for fault in found[0].fault.split(" + "))
    remarks = tuple(each for each in judged.remarks if clipping or not each.kind.startswith("clipped"))
    return replace(judged, diagnoses=tuple(found), remarks=remarks)


def diagnose_result(
    result: Result, predictions: Predictions, likely: tuple[str, ...] = (), *, thorough: bool = True
) -> list[Diagnosis]:
    """Explain what an implementation returned, though it may be right and the baseline wrong.

    Args:
        result: what it returned.
        predictions: of the problem.
        likely: the names of faults to try first.
        thorough: whether faults that have to be tried in pairs are.
    """
    found = diagnose(
        result.tensors, predictions, known=result.known, digits=result.half_units, likely=likely, thorough=thorough
    )
    if found:
        return found
    text = (
        "These numbers agree with the reference; it is the baseline, or the case's own tolerance, that they do not fit."
    )
    return [Diagnosis(BASELINE_IS_OFF, text, dict.fromkeys(result.tensors, 0.0))]


def agreed(run: Run) -> None:
    """Put first, of the diagnoses that fit a case alike, what explains the most cases of the implementation."""
    counts: Counter[tuple[str, str]] = Counter()
    for outcome in run.outcomes:
        for judged in outcome.judged:
            counts.update({(judged.implementation, each.fault) for each in judged.diagnoses})
    run.outcomes = [
        replace(
            outcome,
            judged=tuple(
                replace(
                    judged,
                    diagnoses=tuple(sorted(judged.diagnoses, key=lambda d: -counts[judged.implementation, d.fault])),
                )
                for judged in outcome.judged
            ),
        )
        for outcome in run.outcomes
    ]
