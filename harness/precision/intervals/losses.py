"""The losses in ball arithmetic: the formulas of ``reference_impls.losses``, written anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flint import arb
from numpy import ndarray

from harness.precision.intervals.layers import ZERO
from reference_impls.losses import number_of_terms

RowLoss = Callable[[list[arb], Any], tuple[arb, list[arb]]]
"""A function from one row of outputs, O intervals, and its target to the loss and the gradient by the outputs."""


def _squared_error(outputs: list[arb], target: Sequence[float]) -> tuple[arb, list[arb]]:
    errors = [y - arb(t) for y, t in zip(outputs, target, strict=True)]
    return sum((error * error for error in errors), ZERO), [2 * error for error in errors]


def _softmax_cross_entropy(outputs: list[arb], label: int) -> tuple[arb, list[arb]]:
    shift = max(y.mid() for y in outputs)  # any shift leaves the softmax as it is; this one keeps exp small
    exponentials = [(y - shift).exp() for y in outputs]
    total = sum(exponentials, ZERO)
    gradient = [each / total for each in exponentials]
    # softmax − 1 cancels if the label is nearly certain; the sum over the other classes is the same number.
    gradient[label] = -sum((each for k, each in enumerate(exponentials) if k != label), ZERO) / total
    return total.log() - (outputs[label] - shift), gradient


def _dot(outputs: list[arb], upstream: Sequence[float]) -> tuple[arb, list[arb]]:
    gradient = [arb(u) for u in upstream]
    return sum((y * u for y, u in zip(outputs, gradient, strict=True)), ZERO), gradient


_ROW_LOSSES: dict[str, RowLoss] = {
    "squared_error": _squared_error,
    "softmax_cross_entropy": _softmax_cross_entropy,
    "dot": _dot,
}


def loss_and_gradient(
    kind: str, reduction: str, outputs: list[arb], targets: ndarray, covered: ndarray
) -> tuple[arb, list[arb]]:
    """Return the loss and the gradient by the outputs.

    Args:
        kind: A key of ``reference_impls.losses.LOSSES``.
        reduction: ``sum`` or ``mean``.
        outputs: T·B·O intervals, time first.
        targets: (B, T, O) of floats, or labels (B, T).
        covered: The steps that have a loss, (B, T) of bool.

    Returns:
        The loss, and T·B·O intervals, which are zero at steps without a loss.
    """
    B, T = covered.shape
    O = len(outputs) // (B * T)
    terms = number_of_terms(kind, int(covered.sum()), O) if reduction == "mean" else 1
    loss, gradient = ZERO, [ZERO] * len(outputs)
    for t in range(T):
        for b in range(B):
            if covered[b, t]:
                row = slice((t * B + b) * O, (t * B + b + 1) * O)
                of_row, d_row = _ROW_LOSSES[kind](outputs[row], targets[b, t].tolist())
                loss += of_row
                gradient[row] = [d / terms for d in d_row] if terms != 1 else d_row
    return loss / terms, gradient
