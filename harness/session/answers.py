"""What an implementation answered to a problem, once or twice, against the baseline's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy import ndarray

from harness.comparison import SEVERITY, Collect, Comparison, compare
from harness.problem import Problem
from harness.result import Result
from harness.session import directional
from harness.session.kinked import explained
from harness.trial import Remark
from harness.trial.clipping import clipped
from harness.trial.repetition import since_first_is_right


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


def judge_answers(
    problem: Problem,
    first: Result,
    second: Result | None,
    expected: Result,
    noise: Mapping[str, float],
    complete: bool,
    collect: Collect = "failed",
    eps: float = 0.0,
    noticed: Sequence[Remark] = (),
) -> Answers:
    """Compare an answer, and the other answer of a second call if there is one; the worse of the two counts."""
    comparison, worse, reason = (
        compare_for(problem, first, expected, noise, complete=complete, collect=collect, eps=eps),
        first,
        "",
    )
    if second is not None:
        again = compare_for(problem, second, expected, noise, complete=complete, collect=collect, eps=eps)
        if _badness(again) > _badness(comparison):
            reason = "of its two answers, this is the second"
            if comparison.matches:
                reason += "; the first is right, so state is kept from the first call"
                noticed = tuple(since_first_is_right(noticed))
            comparison, worse = again, second
    whole = {name: array for name, array in first.gradients.items() if name not in first.known}
    cut = clipped(whole, expected.gradients) if comparison.verdict == "mismatch" else ()
    return Answers(comparison, worse, reason, (*cut, *noticed))


def compare_for(
    problem: Problem,
    actual: Result | Mapping[str, ndarray],
    expected: Result,
    noise: Mapping[str, float],
    *,
    complete: bool,
    collect: Collect = "failed",
    eps: float = 0.0,
) -> Comparison:
    """Compare two results of a problem, with the tolerances and the policy of its case, for products of this eps."""
    tolerance: Mapping[str, Any] | None = problem.case.tolerance
    if isinstance(actual, Result) and actual.directional is not None:
        with_directional = directional.with_expected(expected, problem, actual.directional.size)
        if with_directional is None:  # nothing to hold it against
            actual = replace(actual, directional=None)
        else:
            tolerance = directional.tolerance(expected, problem)
            noise = {**noise, directional.NAME: directional.noise(expected, problem, noise)}
            expected = with_directional

    def compared(one: Result | Mapping[str, ndarray], other: Result) -> Comparison:
        return compare(
            one,
            other,
            tolerance=tolerance,
            noise=noise,
            nonfinite=problem.case.nonfinite,
            complete=complete,
            own_dtype=not complete,
            collect=collect,
            eps=eps,
        )

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
