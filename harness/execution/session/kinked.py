"""Disagreements that the kink of relu explains completely, with this as the reason.

A result that disagrees with the baseline is explained by the kink if both are the reference's gradient, each for a
choice of slopes at the pre-activations that are zero within rounding. Nothing else is excused: a result that matches no
choice, or whose baseline matches none, stays a mismatch. The choices are

    0, ½ or 1 at every exact zero, and elsewhere the sign decides
    0, ½ or 1 at everything within rounding of zero
    where there are at most six such places, 0 or 1 at each on its own

A case that expects a mismatch documents a disagreement, and what is explained stays one there, with the reason.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

from harness.comparison import Comparison, TensorComparison
from harness.precision.kinks import Slopes, at_kink, recursions, slopes_by_sign, with_slopes
from harness.problem import Problem
from harness.problem.reference import backward, forward
from harness.result import Result

if TYPE_CHECKING:
    from reference_impls.network import ForwardPass

MOST_PLACES = 6
MOST_WORK = 2e9
"""Multiplications of all choices together, a second or so; beyond it nothing is explained."""
SHOWN = 2

Tensors = Result | Mapping[str, ndarray]

Compare = Callable[[Tensors, Result], Comparison]
"""Compares a result with an expected one, under the case's tolerances."""


def explained(
    comparison: Comparison, problem: Problem, actual: Tensors, expected: Result, compare: Compare
) -> Comparison:
    """Return a comparison in which disagreements at the kink of relu match, with the reason; itself if there are none.

    A tensor that is explained so has the errors, and the expected values, of the slopes that were taken. Where the case
    expects a mismatch, the tensor keeps its errors, and its verdict, and gets the reason.

    Args:
        comparison: of ``actual`` with ``expected``.
        problem: in the split layout.
        actual: the result in question.
        expected: the baseline's.
        compare: how two results are compared.
    """
    disputed = {each.tensor for each in comparison.disagreements}
    if problem.case.activation != "relu" or not disputed <= problem.structure.gradients.keys():
        return comparison  # loss and outputs know no slopes
    with np.errstate(all="ignore"):  # what overflows has been judged
        choices = list(_choices(problem))
        taken = next((each for each in choices if compare(expected, each.result).matches), None)
        if taken is None:
            return comparison
        for each in choices:
            alternative = compare(actual, each.result)
            if alternative.matches:
                reason = each.reason_beside(taken)
                if problem.case.expect == "mismatch":
                    return replace(comparison, tensors=tuple(_with(tensor, reason) for tensor in comparison.tensors))
                by_name = {tensor.tensor: tensor for tensor in alternative.tensors}
                return replace(
                    comparison,
                    tensors=tuple(
                        replace(by_name[tensor.tensor], reason=reason) if tensor.tensor in disputed else tensor
                        for tensor in comparison.tensors
                    ),
                )
    return comparison


def _with(tensor: TensorComparison, reason: str) -> TensorComparison:
    return tensor if tensor.verdict == "match" else replace(tensor, reason=f"{tensor.reason}; {reason}")


class _Choice:
    """The reference's gradient for one choice of slopes at the kink."""

    def __init__(self, problem: Problem, passed: ForwardPass, slopes: Slopes) -> None:
        self.slopes = slopes
        self.recursions = recursions(passed)
        loss, d_outputs = problem.loss(passed.outputs)
        gradients = backward(problem, with_slopes(passed, slopes), d_outputs)
        self.result = Result(loss, passed.outputs, gradients, 0.0)

    def reason_beside(self, other: _Choice) -> str:
        """Say which slopes are taken where another choice takes other ones."""
        places = [
            (n, *map(int, index))
            for n, (mine, theirs) in enumerate(zip(self.slopes, other.slopes, strict=True))
            for index in np.argwhere(mine != theirs)
        ]
        shown = []
        for n, t, b, j in places[:SHOWN]:
            recursion = self.recursions[n]
            a = float(recursion.cache.pre[t, b, j])
            zero = "a = 0" if a == 0 else f"a = {a:.3g}, which is 0 within rounding,"
            mine, theirs = self.slopes[n][t, b, j], other.slopes[n][t, b, j]
            step, sequence = recursion.place(t, b)
            where = f"{recursion.block.replace('layer', 'layer ')}, step {step}, sequence {sequence}, unit {j}"
            shown.append(f"slope {mine:g} where the baseline takes {theirs:g}, {zero} at {where}")
        more = f" (+{len(places) - SHOWN} more places)" if len(places) > SHOWN else ""
        return f"at the kink of relu: takes {'; '.join(shown)}{more}"


def _choices(problem: Problem) -> Iterator[_Choice]:
    """Yield each choice once; the reference's own first. None if nothing is at the kink."""
    passed = forward(problem)
    near, by_sign = at_kink(passed, problem.weights), slopes_by_sign(passed)
    count = sum(int(each.sum()) for each in near)
    if not count:
        return
    every = [by_sign]
    exact = [each & (one.cache.pre == 0) for each, one in zip(near, recursions(passed), strict=True)]
    every += [_set(by_sign, where, slope) for where in (exact, near) for slope in (0.0, 0.5, 1.0)]
    if count <= MOST_PLACES:
        every += [_each(by_sign, near, slopes) for slopes in itertools.product((0.0, 1.0), repeat=count)]
    distinct = {b"".join(each.tobytes() for each in slopes): slopes for slopes in every}
    if problem.multiplications * len(distinct) > MOST_WORK:
        return
    for slopes in distinct.values():
        yield _Choice(problem, passed, slopes)


def _set(slopes: Slopes, where: list[ndarray], slope: float) -> list[ndarray]:
    return [np.where(at, np.asarray(slope, each.dtype), each) for each, at in zip(slopes, where, strict=True)]


def _each(slopes: Slopes, where: list[ndarray], values: tuple[float, ...]) -> list[ndarray]:
    """Give the places, in order, a slope of their own."""
    left = iter(values)
    changed = []
    for each, at in zip(slopes, where, strict=True):
        copy = each.copy()
        copy[at] = [next(left) for _ in range(int(at.sum()))]
        changed.append(copy)
    return changed
