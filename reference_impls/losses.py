r"""The losses, each returned together with the gradient of the outputs.

A loss covers some of the (sequence, step) pairs, which ``covered``, (B, T) of bool, marks. The N covered rows are
gathered, the loss is computed on them, and the gradient is scattered back. It is exactly zero in the other rows, whose
outputs and targets have no effect, even NaN.

    squared_error            Σ (y − t)²                        dy = 2 (y − t)
    softmax_cross_entropy    Σ (log Σ_k exp y_k − y_label)     dy = softmax(y) − onehot(label)
    dot                      Σ u y                             dy = u    (a vector–Jacobian product with u)

With the reduction ``mean``, loss and gradient are divided by the number of terms of the sum: N·O for squared_error and
dot, N for softmax_cross_entropy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import ndarray

RowLosses = Callable[[ndarray, ndarray], ndarray]
Loss = Callable[[ndarray, ndarray, ndarray, str], tuple[ndarray, ndarray]]


def squared_error_rows(outputs: ndarray, targets: ndarray) -> ndarray:
    """Return the loss of each row, (N,), of outputs (N, O) against targets (N, O)."""
    error = outputs - targets  # (N, O)
    return (error * error).sum(axis=-1)  # (N,)


def softmax_cross_entropy_rows(outputs: ndarray, targets: ndarray) -> ndarray:
    """Return the loss of each row, (N,), of logits (N, O) for labels (N,), by a log-sum-exp that cannot overflow."""
    # A shift does not change the softmax; a real shift keeps the logits analytic.
    shifted = outputs - outputs.real.max(axis=-1, keepdims=True)  # (N, O)
    return np.log(np.exp(shifted).sum(axis=-1)) - shifted[np.arange(len(targets)), targets]  # (N,)


def dot_rows(outputs: ndarray, targets: ndarray) -> ndarray:
    """Return the loss of each row, (N,), of outputs (N, O) under the upstream gradient (N, O)."""
    return (outputs * targets).sum(axis=-1)  # (N,)


def squared_error(outputs: ndarray, targets: ndarray, covered: ndarray, reduction: str) -> tuple[ndarray, ndarray]:
    """Sum (or mean) of squared differences over all covered outputs; no factor ½.

    Args:
        outputs: (B, T, O).
        targets: (B, T, O).
        covered: (B, T) of bool.
        reduction: ``sum`` or ``mean``.

    Returns:
        The loss, of shape (), and d_outputs, (B, T, O).
    """
    rows, wanted = outputs[covered], targets[covered]  # (N, O), (N, O)
    loss = squared_error_rows(rows, wanted).sum()  # ()
    return _reduced(loss, 2 * (rows - wanted), covered, reduction, "squared_error")


def softmax_cross_entropy(
    outputs: ndarray, targets: ndarray, covered: ndarray, reduction: str
) -> tuple[ndarray, ndarray]:
    """Negative log-likelihood of the labels under softmax(outputs).

    Args:
        outputs: logits, (B, T, O).
        targets: labels, (B, T) of integers in [0, O).
        covered: (B, T) of bool.
        reduction: ``sum`` or ``mean``.

    Returns:
        The loss, of shape (), and d_outputs, (B, T, O).
    """
    logits, labels = outputs[covered], targets[covered]  # (N, O), (N,)
    loss = softmax_cross_entropy_rows(logits, labels).sum()  # ()
    exponentials = np.exp(logits - logits.real.max(axis=-1, keepdims=True))  # (N, O)
    d_logits = exponentials / exponentials.sum(axis=-1, keepdims=True)  # (N, O): softmax
    d_logits[np.arange(len(labels)), labels] -= 1
    return _reduced(loss, d_logits, covered, reduction, "softmax_cross_entropy")


def dot(outputs: ndarray, targets: ndarray, covered: ndarray, reduction: str) -> tuple[ndarray, ndarray]:
    """Inner product of the outputs with a fixed upstream gradient, so that d_outputs is that upstream gradient.

    Args:
        outputs: (B, T, O).
        targets: the upstream gradient u, (B, T, O).
        covered: (B, T) of bool.
        reduction: ``sum`` or ``mean``.

    Returns:
        The loss, of shape (), and d_outputs, (B, T, O).
    """
    rows, upstream = outputs[covered], targets[covered]  # (N, O), (N, O)
    loss = dot_rows(rows, upstream).sum()  # ()
    return _reduced(loss, upstream.astype(outputs.dtype), covered, reduction, "dot")


def number_of_terms(kind: str, rows: int, width: int) -> int:
    """Return the divisor of a mean: N for softmax_cross_entropy, N·O for the others."""
    return rows if kind == "softmax_cross_entropy" else rows * width


def _reduced(loss: ndarray, d_rows: ndarray, covered: ndarray, reduction: str, kind: str) -> tuple[ndarray, ndarray]:
    """Apply the reduction, and scatter d_rows (N, O) to d_outputs (B, T, O)."""
    if reduction == "mean":
        terms = number_of_terms(kind, *d_rows.shape)
        loss, d_rows = loss / terms, d_rows / terms
    d_outputs = np.zeros((*covered.shape, d_rows.shape[-1]), d_rows.dtype)  # (B, T, O)
    d_outputs[covered] = d_rows
    return np.asarray(loss), d_outputs


LOSSES: dict[str, Loss] = {
    "squared_error": squared_error,
    "softmax_cross_entropy": softmax_cross_entropy,
    "dot": dot,
}
"""Every loss by its name in case files."""

ROW_LOSSES: dict[str, RowLosses] = {
    "squared_error": squared_error_rows,
    "softmax_cross_entropy": softmax_cross_entropy_rows,
    "dot": dot_rows,
}
"""The forward pass of every loss: the term of each covered row in the sum."""
