"""What an implementation answered to a problem, once or twice, against the baseline's answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from numpy import ndarray

from harness.candidate.trial import Remark
from harness.candidate.trial.clipping import clipped
from harness.candidate.trial.repetition import since_first_is_right
from harness.case import Case, training
from harness.comparison import SEVERITY, Collect, Comparison, compare
from harness.execution.session import directional
from harness.execution.session.floors import Floors, remarked
from harness.execution.session.floors import judged as judged_floor
from harness.execution.session.kinked import explained
from harness.implementations import Promise
from harness.precision.error_floor import ErrorFloor
from harness.problem import Problem
from harness.result import Result

AnyCase = TypeVar("AnyCase", bound=Case)


@dataclass(frozen=True, eq=False)
class Answers:
    """One or two answers, judged.

    Attributes:
        comparison: of the worse of them.
        worse: that one.
        reason: that it is the second, if it is, and that the first is right, if it is.
        remarks: what the baseline's numbers say of the answers at first sight, then what was noticed of them before.
    """

    comparison: Comparison
    worse: Result
    reason: str
    remarks: tuple[Remark, ...]


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
        self,
        promise: Promise,
        first: Result,
        second: Result | None = None,
        collect: Collect = "failed",
        noticed: Sequence[Remark] = (),
    ) -> Answers:
        """Compare an answer, and the other answer of a second call if there is one; the worse of the two counts.

        Args:
            promise: what is promised of the answers.
            first: the answer.
            second: the other answer; None if there is none.
            collect: which elements to keep one by one.
            noticed: the remarks of the trial that the answers come from.
        """
        comparison, worse, reason = self._compared(promise, first, collect), first, ""
        if second is not None:
            again = self._compared(promise, second, collect)
            if _badness(again) > _badness(comparison):
                reason = "of its two answers, this is the second"
                if comparison.matches:
                    reason += "; the first is right, so state is kept from the first call"
                    noticed = tuple(since_first_is_right(noticed))
                comparison, worse = again, second
        comparison = remarked(comparison, self.floors)
        return Answers(comparison, worse, reason, (*self._remarks(comparison, first), *noticed))

    def _compared(self, promise: Promise, actual: Result, collect: Collect) -> Comparison:
        return compare_for(
            self.problem,
            actual,
            self.expected,
            self.noise,
            complete=promise.complete,
            all_gradients=promise.all_gradients,
            collect=collect,
            eps=promise.float32_eps if self.problem.case.dtype == "float32" else 0.0,
        )

    def _remarks(self, comparison: Comparison, first: Result) -> Iterator[Remark]:
        if comparison.verdict == "mismatch":
            whole = {name: array for name, array in first.gradients.items() if name not in first.known}
            yield from clipped(whole, self.expected.gradients)


def compare_for(
    problem: Problem,
    actual: Result | Mapping[str, ndarray],
    expected: Result,
    noise: Mapping[str, float],
    *,
    complete: bool,
    all_gradients: bool = False,
    collect: Collect = "failed",
    eps: float = 0.0,
) -> Comparison:
    """Compare two results of a problem, with the tolerances and the policy of its case.

    Args:
        problem: in the split layout.
        actual: the result in question.
        expected: the baseline's.
        noise: how far rounding alone moves each tensor, absolute.
        complete: whether a tensor that is missing is a mismatch, and so is another dtype than the expected one.
        all_gradients: whether a gradient that is missing is a mismatch.
        collect: which elements to keep one by one.
        eps: of the arithmetic behind ``actual``, where that is coarser than its dtype's.
    """
    tolerance: Mapping[str, Any] | None = problem.case.tolerance
    if isinstance(actual, Result) and actual.directional is not None:
        with_directional = directional.with_expected(expected, problem, actual.directional.size)
        if with_directional is None:  # nothing to hold it against
            actual = replace(actual, directional=None)
        else:
            tolerance = directional.tolerance(expected, problem)
            noise = {**noise, directional.NAME: directional.noise(expected, problem, noise)}
            expected = with_directional

    # A baseline may return a tensor that the case does not have; no implementation need provide it.
    tensors = {"loss", "outputs", *problem.structure.gradients, *training.tensors(problem.case)}

    def compared(one: Result | Mapping[str, ndarray], other: Result) -> Comparison:
        found = compare(
            one,
            other,
            tolerance=tolerance,
            noise=noise,
            nonfinite=problem.case.nonfinite,
            complete=complete,
            required=problem.structure.gradients if all_gradients else (),
            own_dtype=not complete,
            collect=collect,
            eps=eps,
        )
        return replace(found, not_provided=tuple(name for name in found.not_provided if name in tensors))

    if isinstance(actual, Result) and actual.untrained:
        comparison = compared(actual, replace(expected, training={}))
        comparison = replace(
            comparison, not_provided=(*comparison.not_provided, *expected.training), untrained=actual.untrained
        )
    else:
        comparison = compared(actual, expected)
    return comparison if comparison.matches else explained(comparison, problem, actual, expected, compared)


def _badness(comparison: Comparison) -> tuple[int, int]:
    return SEVERITY.index(comparison.verdict), len(comparison.disagreements)


def on_its_own(case: AnyCase) -> AnyCase:
    """Return a case as a user's implementation meets it: it takes part and must match, whatever is said of others."""
    if case.expect == "match":
        return replace(case, implementations=None)
    about = f"{case.about} Others are known to differ here: {case.because}".strip()
    return replace(case, implementations=None, expect="match", because=None, about=about)
