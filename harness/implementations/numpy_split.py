"""``numpy-split``: the hand-written reference with split weights. The baseline, unless another is chosen."""

from __future__ import annotations

from harness.implementations.base import Returned, implementation
from harness.problem import Problem
from reference_impls import network, rnn_split
from reference_impls.activations import ACTIVATIONS


@implementation("numpy-split", layout="split", supports={"cell": ("rnn",)}, complete=True)
def numpy_split(problem: Problem) -> Returned:
    """Hand-written NumPy, split weights."""
    activation = ACTIVATIONS[problem.case.activation]
    loss, outputs, gradients = network.loss_and_gradients(
        rnn_split,
        problem.weights,
        problem.inputs,
        problem.initial_state,
        activation,
        problem.loss,
        problem.truncation,
    )
    return {"loss": loss, "outputs": outputs, **gradients}
