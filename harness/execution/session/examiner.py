"""Mismatches become diagnoses."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.comparison import Comparison, TensorComparison
from harness.diagnosis import UNEXPLAINED, Diagnosis
from harness.execution.processes import Asking
from harness.execution.session.answers import STATE_KEPT
from harness.execution.session.outcomes import CaseNumbers, CaseOutcome, Judgement, Run
from harness.problem import Problem
from harness.result import Result

if TYPE_CHECKING:
    from harness.diagnosis import Predictions

BASELINE_IS_OFF = "baseline-is-off"
STRICTER_THAN_ROUNDING = "tolerance-below-rounding"

CLIPPING = ("clipped", "factor")
"""Faults that clipping shows as: into a limit, and to a norm, which scales every gradient alike."""

MOST_UNEXPLAINED = 3
"""Number of unexplained cases after which the search for pairs of faults stops."""


class Examiner:
    """Explains the mismatches of a run, case by case.

    An implementation that is wrong on one case is likely wrong in the same way on the next, so what explained the
    last is tried first.

    Args:
        asking: asks the process of a recurrence's step; None where recurrences stay unexplained.
    """

    def __init__(self, asking: Asking | None = None) -> None:
        self._asking = asking
        self._likely: dict[str, tuple[str, ...]] = {}
        self._unexplained: Counter[str] = Counter()

    def examined(self, outcome: CaseOutcome) -> CaseOutcome:
        """Return an outcome with a diagnosis for each mismatch."""
        numbers = outcome.numbers
        if numbers is None or not numbers.to_explain:
            return outcome
        if numbers.problem.recurrence is not None:
            return self._examined_recurrence(outcome, numbers.problem, numbers)
        from harness.diagnosis import Predictions  # imports the catalogue, which a right answer does not need

        predictions = Predictions(numbers.problem, numbers.noise)
        judged = tuple(
            _with_diagnoses(each, self.explained(each, numbers.results[each.implementation], predictions))
            if each.implementation in numbers.to_explain
            else each
            for each in outcome.judged
        )
        return replace(outcome, judged=judged)

    def _examined_recurrence(self, outcome: CaseOutcome, problem: Problem, numbers: CaseNumbers) -> CaseOutcome:
        judged = []
        for each in outcome.judged:
            if each.implementation in numbers.to_explain and self._asking is not None and each.comparison is not None:
                matching = [tensor.tensor for tensor in each.comparison.tensors if tensor.verdict == "match"]
                tensors = numbers.results[each.implementation].tensors
                found = self._asking.explained(problem, tensors, numbers.noise, matching)
                judged.append(_with_diagnoses(each, found))
            else:
                judged.append(each)
        return replace(outcome, judged=tuple(judged))

    def explained(self, judged: Judgement, result: Result, predictions: Predictions) -> list[Diagnosis]:
        """Explain what one implementation returned for one problem."""
        name = judged.implementation
        thorough = self._unexplained[name] < MOST_UNEXPLAINED
        found = diagnose_result(result, predictions, judged.comparison, self._likely.get(name, ()), thorough=thorough)
        if judged.reason.endswith(STATE_KEPT):
            found = [_of_state(each) if each.fault == UNEXPLAINED else each for each in found]
        if any(each.fault == UNEXPLAINED for each in found):
            self._unexplained[name] += 1
        else:
            self._likely[name] = tuple(fault for each in found for fault in each.fault.split(" + "))
        return found


def _of_state(unexplained: Diagnosis) -> Diagnosis:
    text = (
        "The first answer is right; the second call starts from what the first left behind, such as a gradient that is "
        "carried on. Set it anew in each call."
    )
    return Diagnosis("state-kept", text, dict.fromkeys(unexplained.residuals, math.nan), unexplained.start)


def _with_diagnoses(judged: Judgement, found: list[Diagnosis]) -> Judgement:
    """Add what was found; a remark that gradients look clipped gives way to an explanation that clipping is not."""
    named = {fault for each in found for fault in each.fault.split(" + ")}
    clipping = not named or bool(named & {UNEXPLAINED, *CLIPPING})
    remarks = tuple(each for each in judged.remarks if clipping or not each.kind.startswith("clipped"))
    return replace(judged, diagnoses=tuple(found), remarks=remarks)


def diagnose_result(
    result: Result,
    predictions: Predictions,
    comparison: Comparison | None = None,
    likely: tuple[str, ...] = (),
    *,
    thorough: bool = True,
) -> list[Diagnosis]:
    """Explain what an implementation returned, though it may be right and the baseline wrong.

    Args:
        result: what it returned.
        predictions: of the problem.
        comparison: how it compares with the baseline; without one nothing is said of the baseline.
        likely: the names of faults to try first.
        thorough: whether faults that have to be tried in pairs are.

    Returns:
        The explanations, as ``diagnose`` returns them; nothing if no number is wrong, or none can be explained.
    """
    from harness.diagnosis import InPart, diagnose, diagnose_training

    compared = () if comparison is None else comparison.tensors
    found = diagnose(
        result.tensors,
        predictions,
        in_part=InPart(result.known, result.half_units),
        matching=[each.tensor for each in compared if each.verdict == "match"],
        likely=likely,
        thorough=thorough,
    )
    found = found or diagnose_training(result, predictions.problem, predictions.noise)
    return found or _right(predictions, [] if comparison is None else comparison.disagreements)


def _right(predictions: Predictions, disagreements: Iterable[TensorComparison]) -> list[Diagnosis]:
    """Say why numbers disagree that agree with the reference; nothing where no finite numbers were compared."""
    wrong = [each for each in disagreements if each.metrics is not None and each.tensor in predictions.truth]
    if not wrong or not all(np.isfinite(predictions.truth[each.tensor]).all() for each in wrong):
        return []
    residuals, bounds = dict.fromkeys((each.tensor for each in wrong), 0.0), predictions.bounds
    # Two that are both within rounding of the reference are within twice that of each other.
    if all(each.metrics is not None and each.metrics.max_abs_error <= 2 * bounds[each.tensor] for each in wrong):
        text = "These numbers agree with the reference to rounding; the tolerance that is in force asks for more."
        return [Diagnosis(STRICTER_THAN_ROUNDING, text, residuals)]
    return [Diagnosis(BASELINE_IS_OFF, "These numbers agree with the reference; the baseline does not.", residuals)]


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
