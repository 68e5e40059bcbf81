"""The answers of an implementation to a problem, one or two, compared with the baseline's answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from numpy import ndarray

from harness.case import ValidCase, training
from harness.comparison import SEVERITY, Collect, Comparison, ComparisonPolicy, compare
from harness.execution.session.floors import Floors, remarked
from harness.execution.session.floors import judged as judged_floor
from harness.execution.session.outcomes import Judgement
from harness.implementations import Promise
from harness.precision.error_floor import ErrorFloor
from harness.precision.tolerance import TOO_SMALL
from harness.problem import Problem
from harness.result import Answer, Result
from harness.result.remark import Remark

SMALL = "too small to judge"
OF_THE_NUMBERS = ("clipped by value", "clipped by norm", SMALL)
"""The kinds of remarks that follow from an answer and its bounds, so that other bounds make others."""

STATE_KEPT = "; the first is right, so state is kept from the first call"

AnyCase = TypeVar("AnyCase", bound=ValidCase)


@dataclass(frozen=True, eq=False)
class Standard:
    """The standard that answers to a problem are held against; each answer is judged by it, in reports and from Python.

    Attributes:
        problem: in the split layout.
        expected: the baseline's answer.
        noise: how far rounding alone moves each tensor, absolute.
        floors: how far the baseline itself is off.
    """

    problem: Problem
    expected: Result
    noise: Mapping[str, float]
    floors: Floors

    @classmethod
    def measured(
        cls, problem: Problem, expected: Result, noise: Mapping[str, float], floor: ErrorFloor | None
    ) -> Standard:
        """Return the standard that noise and floor make, as they were measured; None for a floor that was not."""
        if floor is None:
            return cls(problem, expected, noise, Floors())
        floors, raised = judged_floor(floor, problem, expected, noise)
        return cls(problem, expected, raised, floors)

    def judged(
        self, name: str, promise: Promise, answer: Answer, collect: Collect = "failed"
    ) -> tuple[Judgement, Result]:
        """Judge an answer; of two results that differ, the worse one counts.

        Args:
            name: of the implementation.
            promise: what it promises of its answers.
            answer: the answer, which has a result.
            collect: which elements to keep one by one.

        Returns:
            The judgement, and the result that counts.
        """
        assert answer.result is not None
        comparison, worse, reason = self._compared(promise, answer.result, collect), answer.result, ""
        noticed = answer.remarks
        if answer.second is not None:
            again = self._compared(promise, answer.second, collect)
            if _badness(again) > _badness(comparison):
                reason = "this is the second of its two answers"
                if comparison.matches:
                    reason += STATE_KEPT
                    from harness.candidate.trial.repetition import since_first_is_right

                    noticed = tuple(since_first_is_right(noticed))
                comparison, worse = again, answer.second
        comparison = remarked(comparison, self.floors)
        judged = replace(
            Judgement.of(name, answer),
            verdict="error" if answer.status == "error" else comparison.verdict,
            comparison=comparison,
            remarks=(*self._remarks(comparison, answer.result), *noticed),
            reason=answer.reason or reason,
            promise=promise,
        )
        return judged, worse

    def _compared(self, promise: Promise, actual: Result, collect: Collect) -> Comparison:
        return compare_for(self.problem, actual, self.expected, self.noise, promise, collect)

    def _remarks(self, comparison: Comparison, first: Result) -> Iterator[Remark]:
        if comparison.verdict == "mismatch":
            from harness.candidate.trial.clipping import clipped  # what a right answer does not need

            whole = {name: array for name, array in first.gradients.items() if name not in first.known}
            yield from clipped(whole, self.expected.gradients)
        if small := comparison.too_small:
            yield Remark(SMALL, f"{', '.join(small)}: {TOO_SMALL}")


def compare_for(
    problem: Problem,
    actual: Result | Mapping[str, ndarray],
    expected: Result,
    noise: Mapping[str, float],
    promise: Promise,
    collect: Collect = "failed",
) -> Comparison:
    """Compare two results of a problem, with the tolerances of its case.

    Args:
        problem: in the split layout.
        actual: the result in question.
        expected: the baseline's.
        noise: how far rounding alone moves each tensor, absolute.
        promise: the promise of the implementation about its results.
        collect: which elements to keep one by one.
    """
    policy = ComparisonPolicy(
        tolerance=problem.case.tolerance,
        noise=noise,
        nonfinite=problem.case.nonfinite,
        complete=promise.complete,
        required=tuple(problem.structure.gradients) if promise.all_gradients else (),
        own_dtype=not promise.complete,
        collect=collect,
        eps=promise.eps_in(problem.case.dtype),
    )
    if isinstance(actual, Result) and actual.directional is not None:
        from harness.execution.session import directional

        with_directional = directional.with_expected(expected, problem, actual.directional.size)
        if with_directional is None:  # nothing to hold it against
            actual = replace(actual, directional=None)
        else:
            policy = replace(
                policy,
                tolerance=directional.tolerance(expected, problem),
                noise={**noise, directional.NAME: directional.noise(expected, problem, noise)},
            )
            expected = with_directional

    # A baseline may return a tensor that the case does not have; no implementation need provide it.
    tensors = {*problem.structure.tensors, *training.tensors(problem.case)} - problem.structure.last_state.keys()
    tensors |= actual.misfits.keys() if isinstance(actual, Result) else set()

    def compared(one: Result | Mapping[str, ndarray], other: Result) -> Comparison:
        found = compare(one, other, policy)
        return replace(
            found, not_provided=tuple(name for name in found.not_provided if name in tensors), case=problem.case
        )

    if isinstance(actual, Result) and actual.untrained:
        comparison = compared(actual, replace(expected, training={}))
        comparison = replace(
            comparison, not_provided=(*comparison.not_provided, *expected.training), untrained=actual.untrained
        )
    else:
        comparison = compared(actual, expected)
    if comparison.matches:
        return comparison
    from harness.execution.session.kinked import explained

    return explained(comparison, problem, actual, expected, compared)


def _badness(comparison: Comparison) -> tuple[int, int]:
    return SEVERITY.index(comparison.verdict), len(comparison.disagreements)


def on_its_own(case: AnyCase) -> AnyCase:
    """Return a case as a user's implementation meets it: it takes part and must match, whatever is said of others."""
    if case.expect == "match":
        return replace(case, implementations=None)
    about = f"{case.about} Others are known to differ here: {case.because}".strip()
    return replace(case, implementations=None, expect="match", because=None, about=about)
