"""Losses by other formulas, and labels, targets and steps that are read in another way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy import ndarray
from typing_extensions import override

from benchmarks.spellings.base import Spelling
from harness.problem import Problem
from reference_impls.losses import LOSSES


class _OfKind(Spelling):
    kind: str

    @override
    def obstacle(self, problem: Problem) -> str:
        return "" if problem.case.loss.kind == self.kind else f"the loss is no {self.kind}"


class _OfProbabilities(_OfKind):
    """A cross-entropy that takes the logarithm of the softmax."""

    kind = "softmax_cross_entropy"

    @override
    def loss(self, problem: Problem, outputs: ndarray) -> tuple[ndarray, ndarray]:
        _, d_outputs = problem.loss(outputs)
        exponentials = np.exp(outputs - outputs.max(axis=-1, keepdims=True))  # (B, T, O)
        p = exponentials / exponentials.sum(axis=-1, keepdims=True)  # (B, T, O)
        of_label = np.take_along_axis(p, problem.targets[:, :, None], axis=-1)  # (B, T, 1)
        losses, passes = self.of(of_label)
        losses, covered = losses[:, :, 0], problem.covered  # (B, T), (B, T)
        total = losses[covered].mean() if problem.case.loss.reduction == "mean" else losses[covered].sum()
        return total, d_outputs * passes

    def of(self, p: ndarray) -> tuple[ndarray, ndarray]:
        """Return the loss of labels with probabilities p (B, T, 1), and the factors of their gradients."""
        raise NotImplementedError


class LogarithmOfSoftmax(_OfProbabilities):
    """The loss as −log of the softmax, infinite where that underflows; its gradient is right."""

    @override
    def of(self, p: ndarray) -> tuple[ndarray, ndarray]:
        return -np.log(p), np.ones_like(p)


class LogarithmWithEpsilon(_OfProbabilities):
    """The loss as −log(p + 1e-12), for fear of log 0, with the gradient p / (p + 1e-12) times the right one."""

    @override
    def of(self, p: ndarray) -> tuple[ndarray, ndarray]:
        epsilon = p.dtype.type(1e-12)
        return -np.log(p + epsilon), p / (p + epsilon)


class ProbabilitiesClipped(_OfProbabilities):
    """Probabilities are clipped into [1e-7, 1 − 1e-7], as by Keras without from_logits; no gradient passes outside."""

    @override
    def of(self, p: ndarray) -> tuple[ndarray, ndarray]:
        low = p.dtype.type(1e-7)
        inside = (p >= low) & (p <= 1 - low)
        return -np.log(np.clip(p, low, 1 - low)), inside.astype(p.dtype)


class ExponentialsUnshifted(_OfKind):
    """The loss as log Σ eʸ − y of the label, without a shift, and its gradient as eʸ / Σ eʸ less the one-hot label."""

    kind = "softmax_cross_entropy"

    @override
    def loss(self, problem: Problem, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = problem.loss(outputs)
        total = np.exp(outputs).sum(axis=-1)  # (B, T)
        overflowed = np.isinf(total) & problem.covered  # (B, T)
        d_outputs = np.where(overflowed[:, :, None], np.exp(outputs) / total[:, :, None], d_outputs)
        return np.asarray(np.inf if overflowed.any() else loss, loss.dtype), d_outputs


class LabelZeroIsPadding(_OfKind):
    """Label 0 is taken for padding: such steps have no loss, and a mean does not count them."""

    kind = "softmax_cross_entropy"

    @override
    def loss(self, problem: Problem, outputs: ndarray) -> tuple[ndarray, ndarray]:
        return _over(problem, outputs, problem.covered & (problem.targets != 0))


class LabelsAsBytes(_OfKind):
    """Labels are kept as uint8, and count from 0 again after 255."""

    kind = "softmax_cross_entropy"

    @override
    def given(self, problem: Problem) -> Problem:
        return replace(problem, targets=problem.targets.astype(np.uint8).astype(problem.targets.dtype))


class SquareOfNorm(_OfKind):
    """The squared error through the norm, ‖y − t‖²: its gradient 2 ‖e‖ · e/‖e‖ is zero over zero where e is zero."""

    kind = "squared_error"

    @override
    def loss(self, problem: Problem, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = problem.loss(outputs)
        norm = np.sqrt((d_outputs * d_outputs).sum())
        return loss, norm * (d_outputs / norm)


class EveryOutputWithEveryTarget(_OfKind):
    """Outputs of width one lose their last axis and targets do not: (N,) − (N, 1) is every pair."""

    kind = "squared_error"

    @override
    def loss(self, problem: Problem, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = problem.loss(outputs)
        if outputs.shape[-1] > 1:
            return loss, d_outputs
        covered = problem.covered
        rows, targets = outputs[covered][:, 0], problem.targets[covered]  # (N,), (N, 1)
        error = rows - targets  # (N, N)
        terms = error.size if problem.case.loss.reduction == "mean" else 1
        d_outputs = np.zeros_like(outputs)  # (B, T, 1)
        d_outputs[covered] = (2 * error.sum(axis=0) / terms)[:, None]
        return (error * error).sum() / terms, d_outputs


class StepZeroIsNone(Spelling):
    """``steps or last``: a loss on step 0 is taken for one on no particular step, and put on the last."""

    @override
    def loss(self, problem: Problem, outputs: ndarray) -> tuple[ndarray, ndarray]:
        if problem.case.steps != (0,):
            return problem.loss(outputs)
        return _over(problem, outputs, np.roll(problem.covered, -1, axis=1))


class NegativeStepNeverReached(Spelling):
    """``if t in steps``: a step that is counted from the end, −1, is compared with t and never equal."""

    @override
    def loss(self, problem: Problem, outputs: ndarray) -> tuple[ndarray, ndarray]:
        given = problem.case.loss.steps
        if given == "all" or min(given) >= 0:
            return problem.loss(outputs)
        reached = np.isin(np.arange(problem.structure.time), given)  # (T,)
        if not (problem.covered & reached).any():
            return np.zeros((), outputs.dtype), np.zeros_like(outputs)
        return _over(problem, outputs, problem.covered & reached)


def _over(problem: Problem, outputs: ndarray, covered: ndarray) -> tuple[ndarray, ndarray]:
    return LOSSES[problem.case.loss.kind](outputs, problem.targets, covered, problem.case.loss.reduction)
