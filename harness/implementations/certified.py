"""``certified``: the reference in ball arithmetic, which gives intervals with proven digits."""

from __future__ import annotations

import math

from harness.implementations.base import ANY, Framework, Returned, Unsupported, implementation
from harness.problem import Problem

FLINT = Framework("flint", ("flint",), install="certified")


def work(_: Problem) -> float:
    """Return infinity: a training cannot be certified, since each of its steps rounds the weights."""
    return math.inf


@implementation("certified", layout="split", framework=FLINT, complete=True, work=work, recurrence=ANY)
def certified(problem: Problem) -> Returned:
    """Ball arithmetic: every element proven to 80 bits, then rounded to the case's dtype."""
    from harness.precision.intervals.certification import NotCertified
    from harness.precision.intervals.certification import certified as certify
    from harness.precision.intervals.tensors import rounded

    try:
        answer = certify(problem)
    except NotCertified as reason:
        raise Unsupported(str(reason)) from None
    return {name: rounded(balls, problem.case.dtype) for name, balls in answer.items()}
