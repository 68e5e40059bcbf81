"""``complex-step``: the oracle, gradients from the forward pass alone."""

from __future__ import annotations

import numpy as np

from harness.implementations.base import Returned, Unsupported, implementation
from harness.problem import Problem
from reference_impls import complex_step as reference
from reference_impls.activations import ACTIVATIONS
from reference_impls.losses import ROW_LOSSES, number_of_terms

MOST_WORK = 2e10
"""Multiplications, about ten seconds on one core."""


@implementation("complex-step", layout="split", supports={"cell": ("rnn",)}, complete=True, is_oracle=True)
def complex_step(problem: Problem) -> Returned:
    """The oracle: complex perturbation of the NumPy forward pass, no backward pass involved.

    Computed in float64 and rounded to the case's dtype, so that in float32 it is right to the last bit or so.
    """
    case, structure = problem.case, problem.structure
    B, T, O = structure.outputs
    work = sum(reference.work(T, B, structure.input, structure.hidden, O, structure.layers))
    if work > MOST_WORK:
        raise Unsupported(
            f"would take {work:.1e} multiplications, one forward pass for each number; at most {MOST_WORK:.0e}"
        )

    def double(array: np.ndarray) -> np.ndarray:
        return array.astype(np.float64) if array.dtype.kind == "f" else array

    covered = problem.covered
    terms = number_of_terms(case.loss.kind, int(covered.sum()), O) if case.loss.reduction == "mean" else 1
    loss, outputs, gradients = reference.gradients(
        {name: double(array) for name, array in problem.weights.items()},
        double(problem.inputs),
        {name: double(array) for name, array in problem.initial_state.items()},
        ACTIVATIONS[case.activation],
        ROW_LOSSES[case.loss.kind],
        double(problem.targets),
        covered,
        terms,
    )
    return {name: array.astype(case.dtype) for name, array in {"loss": loss, "outputs": outputs, **gradients}.items()}
