"""``numpy-concat``: the hand-written reference with concatenated weights."""

from __future__ import annotations

from harness.bench.contestants.base import Contestant, Pass
from harness.bench.contestants.hand_written import passes_of
from harness.implementations import NUMPY
from harness.problem import Problem


def prepare(problem: Problem, threads: int) -> Pass:
    """Return the reference's two passes; an environment variable sets the threads of its matrix product."""
    del threads
    return passes_of(problem, "concatenated")


CONTESTANT = Contestant("numpy-concat", "concatenated", NUMPY, prepare)
