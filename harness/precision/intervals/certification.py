"""Answers with proven digits: the precision is doubled until the radii are small enough.

An answer is certified when, for every element of every tensor (loss and outputs included),

    radius ≤ 2⁻⁸⁰ · max(largest, 2⁻¹⁰⁷⁴)

where largest is a proven lower bound of the tensor's largest |element|. That is 80 bits relative to the tensor's
largest element, or to the least float64 if the whole tensor is smaller. The radius is Arb's, so the criterion is itself
proven, not estimated.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

from flint import arb, ctx
from numpy import ndarray

from harness.derive.balls import UndecidedError
from harness.derive.namespaces import balls
from harness.derive.stepping import StepError
from harness.problem import Problem
from harness.problem.recurrent import RecurrenceProblem

BITS = 80
FIRST_PRECISION = 128
LAST_PRECISION = 4096
"""Maximum precision in bits.

A chaotic recurrence loses some bits in each step; a saturated tanh needs one for each binary digit of 1 − h².
"""

MOST_WORK = 2.5e8
"""Maximum multiplications at ``FIRST_PRECISION``, about 20 ns each on one core."""

KEPT = 8
"""Number of answers that are kept: the comparison and the error floor both ask for a problem's, a few at a time."""


class NotCertified(Exception):
    """The answer cannot be certified; the text is the reason."""


_recent: OrderedDict[bytes, dict[str, ndarray] | NotCertified] = OrderedDict()


def certified(problem: Problem) -> dict[str, ndarray]:
    """Return loss, outputs and every gradient as intervals that satisfy the criterion.

    Args:
        problem: The problem, in the split layout.

    Returns:
        Arrays of intervals by canonical name.

    Raises:
        NotCertified: If that would take too long, or the highest precision does not suffice.
    """
    key = _key(problem)
    if key not in _recent:
        try:
            _recent[key] = _certified(problem)
        except NotCertified as reason:  # a refusal may take seconds, too, so it is kept
            _recent[key] = reason
        while len(_recent) > KEPT:
            _recent.popitem(last=False)
    _recent.move_to_end(key)
    answer = _recent[key]
    if isinstance(answer, NotCertified):
        raise NotCertified(str(answer))
    return answer


def _certified(problem: Problem) -> dict[str, ndarray]:
    precision, reason, once = FIRST_PRECISION, "", work(problem)
    while precision <= LAST_PRECISION:
        if (needed := once * precision / FIRST_PRECISION) > MOST_WORK:
            raise NotCertified(
                f"would take {needed:.1e} multiplications of intervals of {precision} bits; "
                f"at most {MOST_WORK:.1e}{reason}"
            )
        try:
            with ctx.workprec(precision):
                answer = solve(problem)
            missing = [name for name, tensor in answer.items() if not is_certified(tensor)]
            if not missing:
                return answer
            reason = f": {precision} bits do not suffice for {missing[0]}"
        except UndecidedError as undecided:
            reason = f": {precision} bits {undecided}"
        except StepError as refused:  # the step runs on floats, so the reason is that balls do not reach it
            raise NotCertified(f"ball arithmetic does not reach the step: {refused}") from None
        precision *= 2
    raise NotCertified(f"cannot be certified with at most {LAST_PRECISION} bits{reason}")


def solve(problem: Problem) -> dict[str, ndarray]:
    """Return loss, outputs and every gradient in balls at the precision in force, whatever their radii."""
    return balls.gradients(problem.calculation)


def is_certified(tensor: ndarray) -> bool:
    """Return whether a tensor of intervals satisfies the criterion."""
    balls = tensor.reshape(-1)
    largest = max((ball.abs_lower() for ball in balls), default=arb(0))
    # A comparison of intervals holds only if it holds for all numbers in them. So rounding can refuse, never accept.
    allowed = max(largest, arb(2) ** -1074) * arb(2) ** -BITS
    return all(ball.is_finite() and ball.rad() <= allowed for ball in balls)


def work(problem: Problem) -> float:
    """Return the number of multiplications of one attempt, in the unit of ``MOST_WORK``."""
    return balls.work(problem.calculation)


def _key(problem: Problem) -> bytes:
    """Identify a problem by everything that its answer depends on."""
    case = problem.case
    kind = (case.cell, case.recurrence, case.reset, case.activation, case.layers, case.bidirectional, case.sizes)
    digest = blake2b(repr((*kind, case.lengths, case.loss, case.truncation)).encode())
    arrays = {**problem.arrays, "targets": problem.targets}
    if problem.recurrence is not None:
        digest.update(f"{id(problem.recurrence.step)}".encode())  # its source is known, but not its closure
    if isinstance(problem, RecurrenceProblem):
        arrays |= {f"upstream of {name}": each for name, each in problem.upstream_state.items()}
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.digest()
