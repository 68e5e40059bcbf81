"""``numpy-split``: the hand-written reference with split weights. The default baseline."""

from __future__ import annotations

from harness.implementations.base import Returned, implementation
from harness.problem import Problem


@implementation("numpy-split", layout="split", supports={"cell": ("rnn", "lstm", "gru")}, complete=True)
def numpy_split(problem: Problem) -> Returned:
    """Hand-written NumPy, split weights."""
    from harness.problem.reference import solve

    return solve(problem)
