"""``tensorflow``: a recurrence's step in TensorFlow's operations, under its gradient tape."""

from __future__ import annotations

from harness.implementations.base import ANY, Returned, implementation
from harness.implementations.keras_rnn import KERAS
from harness.problem import Problem


@implementation("tensorflow", framework=KERAS, recurrence=ANY, only_with="recurrence", complete=True)
def tensorflow_step(problem: Problem) -> Returned:
    """The step in TensorFlow's operations, under GradientTape."""
    from harness.derive.namespaces import tensorflow

    return tensorflow.gradients(problem.calculation)
