"""Answers with proven digits: the precision is doubled until the radii are small enough.

An answer is certified when, for every element of every tensor (loss and outputs included),

    radius ≤ 2⁻⁸⁰ · max(largest, 2⁻¹⁰⁷⁴)

where largest is a proven lower bound of the tensor's largest |element|: 80 bits relative to each tensor's largest
element or, where a whole tensor is smaller than the least float64, to that. The radius is Arb's, so the criterion is
itself proven, not estimated.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

from flint import arb, ctx
from numpy import ndarray

from harness.precision.intervals.layers import UndecidedKink
from harness.precision.intervals.network import in_matrices, solve
from harness.problem import Problem
from harness.tensors import GATES
from reference_impls.truncation import passes

BITS = 80
FIRST_PRECISION = 128
LAST_PRECISION = 4096
"""Bits. A chaotic recurrence loses some each step; a saturated tanh needs one for each binary digit of 1 − h²."""

MOST_WORK = 2.5e8
"""Multiplications at ``FIRST_PRECISION``, about 20 ns each on one core. An elementwise function counts as fifty."""

OF_OBJECTS = 10
"""How much longer a multiplication takes in arrays of balls than in matrices of balls, which are for plain rnns."""

KEPT = 8
"""Answers remembered: one problem is asked for by the comparison and by the floor, a few problems at a time."""


class NotCertified(Exception):
    """No answer can be certified; the text is the reason."""


_recent: OrderedDict[bytes, dict[str, ndarray] | NotCertified] = OrderedDict()


def certified(problem: Problem) -> dict[str, ndarray]:
    """Return loss, outputs and every gradient as balls that satisfy the criterion.

    Args:
        problem: in the split layout.

    Returns:
        Arrays of balls by canonical name.

    Raises:
        NotCertified: if that would take too long, or the highest precision does not suffice.
    """
    key = _key(problem)
    if key not in _recent:
        try:
            _recent[key] = _certified(problem)
        except NotCertified as reason:  # that, too, may have taken seconds to find out
            _recent[key] = reason
        while len(_recent) > KEPT:
            _recent.popitem(last=False)
    _recent.move_to_end(key)
    answer = _recent[key]
    if isinstance(answer, NotCertified):
        raise NotCertified(str(answer))
    return answer


def _certified(problem: Problem) -> dict[str, ndarray]:
    precision, reason = FIRST_PRECISION, ""
    while precision <= LAST_PRECISION:
        if (needed := work(problem) * precision / FIRST_PRECISION) > MOST_WORK:
            raise NotCertified(
                f"would take {needed:.1e} multiplications of balls of {precision} bits; at most {MOST_WORK:.1e}{reason}"
            )
        try:
            with ctx.workprec(precision):
                answer = solve(problem)
            missing = [name for name, tensor in answer.items() if not is_certified(tensor)]
            if not missing:
                return answer
            reason = f": {precision} bits do not suffice for {missing[0]}"
        except UndecidedKink:
            reason = f": {precision} bits do not tell on which side of relu's kink a pre-activation is"
        precision *= 2
    raise NotCertified(f"cannot be certified with at most {LAST_PRECISION} bits{reason}")


def is_certified(tensor: ndarray) -> bool:
    """Whether a tensor of balls satisfies the criterion."""
    balls = tensor.reshape(-1)
    largest = max((ball.abs_lower() for ball in balls), default=arb(0))
    # A comparison of balls holds only if it holds for every number in them, so rounding here can only refuse.
    allowed = max(largest, arb(2) ** -1074) * arb(2) ** -BITS
    return all(ball.is_finite() and ball.rad() <= allowed for ball in balls)


def work(problem: Problem) -> float:
    """Return how many multiplications one attempt takes, in the unit of ``MOST_WORK``."""
    s = problem.structure
    functions = s.batch * s.time * (len(s.blocks) * s.hidden * GATES[s.cell] + s.outputs[2])
    # Of the three parts of the products two are of the backward pass.
    products = s.multiplications * (1 + 2 * len(passes(problem.truncation, s.time))) / 3
    return (products + 50.0 * functions) * (1 if in_matrices(problem) else OF_OBJECTS)


def _key(problem: Problem) -> bytes:
    """Identify a problem by everything that its answer depends on."""
    case = problem.case
    digest = blake2b(
        repr(
            (
                case.cell,
                case.reset,
                case.activation,
                case.layers,
                case.bidirectional,
                case.sizes,
                case.lengths,
                case.loss,
                case.truncation,
            )
        ).encode()
    )
    arrays = {**problem.weights, **problem.initial_state, "inputs": problem.inputs, "targets": problem.targets}
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.digest()
