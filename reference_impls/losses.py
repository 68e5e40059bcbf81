r"""The losses, each returned together with the gradient of the outputs.

A loss covers some of the (sequence, step) pairs; ``covered``, (B, T) of bool, says which. The N covered rows are
gathered, the loss is taken on them, and the gradient is scattered back: it is exactly zero where the loss does not
look, and whatever stands there in outputs or targets has no say, NaN included.

    squared_error            Σ (y − t)²                        dy = 2 (y − t)
    softmax_cross_entropy    Σ (log Σ_k exp y_k − y_label)     dy = softmax(y) − onehot(label)
    dot                      Σ u y                             dy = u    (a vector–Jacobian product with u)

With the reduction ``mean`` loss and gradient are divided by the number of terms of the sum: N·O for squared_error and
dot, N for softmax_cross_entropy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import ndarray

Loss = Callable[[ndarray, ndarray, ndarray, str], tuple[ndarray, ndarray]]


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
    error = outputs[covered] - targets[covered]  # (N, O)
    return _reduced((error * error).sum(), 2 * error, covered, reduction, terms=error.size)


def softmax_cross_entropy(
    outputs: ndarray, targets: ndarray, covered: ndarray, reduction: str
) -> tuple[ndarray, ndarray]:
    """Negative log-likelihood of the labels under softmax(outputs), by a shifted log-sum-exp that cannot overflow.

    Args:
        outputs: logits, (B, T, O).
        targets: labels, (B, T) of integers in [0, O).
        covered: (B, T) of bool.
        reduction: ``sum`` or ``mean``.

    Returns:
        The loss, of shape (), and d_outputs, (B, T, O).
    """
    logits, labels = outputs[covered], targets[covered]  # (N, O), (N,)
    # Any shift leaves the softmax as it is; by its real part the shifted logits stay analytic.
    shifted = logits - logits.real.max(axis=-1, keepdims=True)  # (N, O)
    exponentials = np.exp(shifted)  # (N, O)
    normaliser = exponentials.sum(axis=-1, keepdims=True)  # (N, 1)
    rows = np.arange(len(labels))  # (N,)
    loss = (np.log(normaliser[:, 0]) - shifted[rows, labels]).sum()  # ()
    d_logits = exponentials / normaliser  # (N, O): softmax
    d_logits[rows, labels] -= 1
    return _reduced(loss, d_logits, covered, reduction, terms=len(labels))


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
    upstream = targets[covered]  # (N, O)
    loss = (outputs[covered] * upstream).sum()  # ()
    return _reduced(loss, upstream.astype(outputs.dtype), covered, reduction, terms=upstream.size)


def _reduced(
    loss: ndarray, d_rows: ndarray, covered: ndarray, reduction: str, *, terms: int
) -> tuple[ndarray, ndarray]:
    """Apply the reduction, and scatter d_rows (N, O) to d_outputs (B, T, O)."""
    if reduction == "mean":
        loss = loss / terms
        d_rows = d_rows / terms
    d_outputs = np.zeros((*covered.shape, d_rows.shape[-1]), d_rows.dtype)  # (B, T, O)
    d_outputs[covered] = d_rows
    return np.asarray(loss), d_outputs


LOSSES: dict[str, Loss] = {
    "squared_error": squared_error,
    "softmax_cross_entropy": softmax_cross_entropy,
    "dot": dot,
}
"""Every loss, by the name that case files use."""
