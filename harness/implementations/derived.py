"""``derived``: the reverse pass that follows from a recurrence's step, in NumPy; the baseline of recurrences."""

from __future__ import annotations

from harness.implementations.base import ANY, Returned, implementation
from harness.problem import Problem


@implementation("derived", recurrence=ANY, only_with="recurrence", complete=True)
def derived(problem: Problem) -> Returned:
    """The reverse pass derived from the step, in NumPy."""
    from harness.problem.reference import solve

    return solve(problem)
