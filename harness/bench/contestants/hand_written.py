"""What the contestants on NumPy share: the two passes of the reference."""

from __future__ import annotations

from harness.bench.contestants.base import Pass, Tensors
from harness.problem import Problem
from harness.reference import Form, activations_of, layer_of
from reference_impls import network


def passes_of(problem: Problem, form: Form) -> Pass:
    """Return the reference's two passes over a problem in the layout ``form``."""
    layer, activations = layer_of(problem.structure, form), activations_of(problem)

    def both() -> Tensors:
        passed = network.forward(layer, problem.weights, problem.inputs, problem.initial_state, **activations)
        gradients = network.backward(layer, problem.weights, passed, problem.upstream)
        return {"outputs": passed.outputs, **gradients}

    return both
