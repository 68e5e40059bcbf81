"""Faults of the softmax and its cross-entropy, in the loss or in its gradient alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.faults.base import NetworkFault
from harness.diagnosis.faults.needs import several_sequences
from harness.problem import Problem
from reference_impls.activations import ACTIVATIONS


class _SoftmaxFault(NetworkFault):
    """A fault that only a softmax cross-entropy can have."""

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.loss.kind == "softmax_cross_entropy" else "the loss is not softmax_cross_entropy"


class SoftmaxOverWrongAxis(_SoftmaxFault):
    """The softmax is taken over {softmax_axis} instead of the classes."""

    alters_forward = True
    softmax_axis: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"softmax_axis": each} for each in ("the steps", "the batch"))

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        axis = 0 if self.softmax_axis == "the steps" else 1
        shifted = outputs - outputs.max(axis=axis, keepdims=True)  # (T, B, O)
        exponentials = np.exp(shifted)  # (T, B, O)
        sums = exponentials.sum(axis=axis, keepdims=True)
        covered = self.problem.covered.T  # (T, B)
        terms = covered.sum() if self.problem.case.loss.reduction == "mean" else 1
        picked = np.zeros_like(outputs)  # (T, B, O): onehot(label) where the loss looks
        np.put_along_axis(
            picked, self.problem.targets.T[:, :, None], covered[:, :, None].astype(outputs.dtype), axis=-1
        )
        loss = -(picked * (shifted - np.log(sums))).sum() / terms
        # d/dy of −log softmax along the axis, summed over the picked classes: p Σ picked − picked.
        p = exponentials / sums
        return np.asarray(loss), (p * picked.sum(axis=axis, keepdims=True) - picked) / terms


class LossOfSumOverBatch(_SoftmaxFault):
    """The loss is −log of a sum: the labels' probabilities of a step are added up over the batch before the logarithm.
    The gradient is that of the case's loss.
    """

    without_loss = ""  # right
    needs = (several_sequences,)

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        _, d_outputs = super().loss_of(outputs)
        p = np.take_along_axis(softmax(outputs), self.problem.targets.T[:, :, None], axis=-1)[:, :, 0]  # (T, B)
        covered = self.problem.covered.T  # (T, B)
        terms = covered.sum() if self.problem.case.loss.reduction == "mean" else 1
        sums = np.where(covered, p, 0).sum(axis=1)[covered.any(axis=1)]
        return np.asarray(-np.log(sums).sum() / terms), d_outputs


class SoftmaxTwice(_SoftmaxFault):
    """The outputs pass a softmax of their own, though the loss takes logits and has another."""

    alters_forward = True

    @override
    def read_out(self, top: ndarray) -> ndarray:
        return softmax(super().read_out(top))

    @override
    def upstream(self, d_outputs: ndarray) -> ndarray:
        d_outputs, p = super().upstream(d_outputs), self.outputs  # (T, B, O), (T, B, O)
        return p * (d_outputs - (p * d_outputs).sum(axis=-1, keepdims=True))


class SoftmaxTwiceBackOnce(_SoftmaxFault):
    """The outputs pass a softmax of their own, though the loss takes logits and has another; the gradient is not
    carried back through the first.
    """

    alters_forward = True

    @override
    def read_out(self, top: ndarray) -> ndarray:
        return softmax(super().read_out(top))


class SigmoidForSoftmax(_SoftmaxFault):
    """The loss takes the sigmoid of each output instead of the softmax over the classes."""

    alters_forward = True
    unlikely = 2
    without_loss = "The gradient has the sigmoid of each output instead of the softmax over the classes."

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        covered = self.problem.covered.T  # (T, B)
        terms = covered.sum() if self.problem.case.loss.reduction == "mean" else 1
        picked = np.zeros_like(outputs)  # (T, B, O)
        np.put_along_axis(
            picked, self.problem.targets.T[:, :, None], covered[:, :, None].astype(outputs.dtype), axis=-1
        )
        # −Σ picked log σ(y) − Σ (1 − picked) log(1 − σ(y)), of the steps that are covered.
        losses = np.logaddexp(0, outputs) - picked * outputs  # (T, B, O)
        p = ACTIVATIONS["sigmoid"].value(np.array(outputs), np.empty_like(outputs))  # (T, B, O)
        where = covered[:, :, None]
        return np.asarray((losses * where).sum() / terms), (p - picked) * where / terms


class OverflowingExponential(_SoftmaxFault):
    """The softmax is taken without a shift, and its exponential overflows."""

    alters_forward = True
    hidden_by = ("nothing overflows",)

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = super().loss_of(outputs)
        with np.errstate(all="ignore"):
            # In the dtype of the case, where it overflows sooner.
            exponentials = np.exp(outputs.astype(self.problem.case.dtype))  # (T, B, O)
            p = exponentials / exponentials.sum(axis=-1, keepdims=True)  # (T, B, O): NaN where it overflowed
            log = np.log(np.take_along_axis(p, self.problem.targets.T[:, :, None], axis=-1))[:, :, 0]  # (T, B)
        covered = self.problem.covered.T  # (T, B)
        overflowed = np.isnan(p) & covered[:, :, None]
        d_outputs = np.where(overflowed, np.nan, d_outputs)
        return (loss if np.isfinite(log[covered]).all() else np.asarray(np.nan, loss.dtype)), d_outputs


class OneHotNotSubtracted(_SoftmaxFault):
    """The gradient of the softmax cross-entropy is the softmax itself: the one-hot label is not subtracted."""

    unlikely = 0

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = super().loss_of(outputs)
        return loss, d_outputs + one_hot(self.problem, d_outputs)


class GradientSoftmaxOverWrongAxis(_SoftmaxFault):
    """The gradient alone normalises the softmax over {gradient_axis}; it should normalise over the classes."""

    without_loss = "The gradient normalises the softmax over {gradient_axis}; it should normalise over the classes."
    gradient_axis: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        for axis in ("the steps", "the batch"):
            yield {"gradient_axis": axis}
            yield {"gradient_axis": f"{axis}, though shifted by the largest of the classes"}

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = super().loss_of(outputs)
        axis = 0 if self.gradient_axis.startswith("the steps") else 1
        shift = outputs.max(axis=-1, keepdims=True) if "shifted" in self.gradient_axis else outputs.max()
        exponentials = np.exp(outputs - shift)  # (T, B, O)
        p = exponentials / exponentials.sum(axis=axis, keepdims=True)  # (T, B, O)
        covered = self.problem.covered.T  # (T, B)
        terms = covered.sum() if self.problem.case.loss.reduction == "mean" else 1
        return loss, p * covered[:, :, None] / terms - one_hot(self.problem, d_outputs)


class SoftmaxDerivativeTwice(_SoftmaxFault):
    """The gradient of the softmax cross-entropy is multiplied by p (1 − p), the derivative of a sigmoid, once more."""

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = super().loss_of(outputs)
        p = softmax(outputs)  # (T, B, O)
        return loss, d_outputs * p * (1 - p)


class LabelOnly(_SoftmaxFault):
    """The gradient of the softmax cross-entropy reaches the labelled output alone: p − 1 there and 0 at the others."""

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = super().loss_of(outputs)
        return loss, np.where(one_hot(self.problem, d_outputs) != 0, d_outputs, 0)


def one_hot(problem: Problem, d_outputs: ndarray) -> ndarray:
    """Return onehot(label) at the loss's steps, as d_outputs (T, B, O) contains it, reduction included: (T, B, O)."""
    labels = problem.targets.T  # (T, B)
    covered = problem.covered.T  # (T, B)
    found = np.zeros_like(d_outputs)  # (T, B, O)
    terms = covered.sum() if problem.case.loss.reduction == "mean" else 1
    np.put_along_axis(found, labels[:, :, None], (covered / terms)[:, :, None].astype(found.dtype), axis=-1)
    return found


def softmax(outputs: ndarray) -> ndarray:
    """Return the softmax over the classes, the last axis, of outputs (…, O): (…, O)."""
    exponentials = np.exp(outputs - outputs.max(axis=-1, keepdims=True))  # (…, O)
    p: ndarray = exponentials / exponentials.sum(axis=-1, keepdims=True)  # (…, O)
    return p
