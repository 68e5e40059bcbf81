"""The losses by TensorFlow's own functions, for the implementations that run on it."""

from __future__ import annotations

from typing import Any

from harness.problem import Problem


def loss_of(problem: Problem, outputs: Any) -> Any:
    """Return the case's loss of outputs (B, T, O), of shape ()."""
    import tensorflow as tf

    rows = tf.boolean_mask(outputs, problem.covered)  # (N, O)
    targets = problem.targets[problem.covered]  # (N, O) or (N,)
    match problem.case.loss.kind:
        case "squared_error":
            terms = tf.math.squared_difference(rows, targets)  # (N, O)
        case "softmax_cross_entropy":
            terms = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=rows)  # (N,)
        case "dot":
            terms = rows * targets  # (N, O)
    return tf.reduce_sum(terms) if problem.case.loss.reduction == "sum" else tf.reduce_mean(terms)
