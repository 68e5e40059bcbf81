"""``numpy-concat``: the hand-written reference with concatenated weights."""

from __future__ import annotations

from harness.implementations.base import Returned, implementation
from harness.problem import Problem
from reference_impls import network, rnn_concatenated
from reference_impls.activations import ACTIVATIONS


@implementation("numpy-concat", layout="concatenated", supports={"cell": ("rnn",)}, complete=True)
def numpy_concat(problem: Problem) -> Returned:
    """Hand-written NumPy, concatenated weights."""
    activation = ACTIVATIONS[problem.case.activation]
    loss, outputs, gradients = network.loss_and_gradients(
        rnn_concatenated,
        problem.weights,
        problem.inputs,
        problem.initial_state,
        activation,
        problem.loss,
        problem.truncation,
    )
    return {"loss": loss, "outputs": outputs, **gradients}
