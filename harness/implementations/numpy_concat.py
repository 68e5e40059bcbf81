"""``numpy-concat``: the hand-written reference with concatenated weights."""

from __future__ import annotations

from harness.implementations.base import Returned, implementation
from harness.problem import Problem


@implementation("numpy-concat", layout="concatenated", supports={"cell": ("rnn", "lstm", "gru")}, complete=True)
def numpy_concat(problem: Problem) -> Returned:
    """Hand-written NumPy, concatenated weights."""
    from harness.problem.reference import solve

    return solve(problem, "concatenated")
