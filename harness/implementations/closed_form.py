"""``closed-form``: linear dynamics (the activation identity), solved by matrix powers and without recursion."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from harness.implementations.base import Returned, Unsupported, implementation, refuse_directions_and_lengths
from harness.problem import Problem
from reference_impls import linear_dynamics

MOST_WORK = 2e9
"""Maximum multiplications in wider numbers, some seconds on one core."""

WIDER = {"float32": np.float64, "float64": np.longdouble}
"""The dtype in which a case is computed.

Powers of a matrix lose digits where the recursion does not. Half as many digits again suffice for the tolerances; a
machine whose longdouble is float64 has no more digits.
"""


@implementation(
    "closed-form",
    layout="split",
    supports={"cell": ("rnn",), "activation": ("identity",)},
    complete=True,
    specialised=True,
)
def closed_form(problem: Problem) -> Returned:
    """Linear dynamics in closed form: sums over powers of W_hh, nothing handed from step to step.

    They are computed in wider numbers, if the machine has any, and rounded to the case's dtype.
    """
    case, s = problem.case, problem.structure
    refuse_directions_and_lengths(problem)
    groups = linear_dynamics.reaches(problem.truncation, s.time)
    needed = linear_dynamics.work(s.time, s.batch, s.hidden, groups, s.layers)
    if needed > MOST_WORK:
        raise Unsupported(
            f"the sums over all pairs of steps would take {needed:.1e} multiplications; at most {MOST_WORK:.0e}"
        )
    wider = WIDER[case.dtype]

    def wide(array: ndarray) -> ndarray:
        return array.astype(wider)

    loss, outputs, gradients = linear_dynamics.loss_and_gradients(
        {name: wide(array) for name, array in problem.weights.items()},
        wide(problem.inputs),
        {name: wide(array) for name, array in problem.initial_state.items()},
        problem.loss,
        problem.truncation,
    )
    found = {"loss": loss, "outputs": outputs, **gradients}
    return {name: tensor.astype(case.dtype) for name, tensor in found.items()}
