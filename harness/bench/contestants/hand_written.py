"""The two passes of the reference, which the contestants on NumPy share."""

from __future__ import annotations

from harness.bench.contestants.base import Pass, Tensors
from harness.problem import Problem
from harness.problem.reference import Form, activations_of, backward, forward


def passes_of(problem: Problem, form: Form) -> Pass:
    """Return the reference's two passes over a problem in the layout ``form``."""
    activations = activations_of(problem)

    def both() -> Tensors:
        passed = forward(problem, activations, form)
        return {"outputs": passed.outputs, **backward(problem, passed, problem.upstream, form)}

    return both
