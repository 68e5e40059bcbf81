"""Another loss, with the gradient that is right for it: another reduction, other steps, other targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.faults.base import NetworkFault
from harness.diagnosis.faults.needs import loss_at_several_steps, several_steps, steps_without_loss
from harness.diagnosis.faults.scale import factors
from harness.diagnosis.faults.upstream import of_all_steps
from harness.problem import Problem
from reference_impls.losses import LOSSES, ROW_LOSSES


class TargetsOfAnotherStep(NetworkFault):
    """Each output is compared with the target of the step {targets_of}."""

    alters_forward = True
    hidden_by = ("same target at every step",)
    targets_of: str
    needs = (several_steps,)

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "the loss dot has no targets" if problem.case.loss.kind == "dot" else ""

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield {"targets_of": "before, the first against the last"}
        if problem.case.sizes.time > 2:
            yield {"targets_of": "after, the last against the first"}

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        shift = 1 if self.targets_of.startswith("before") else -1
        return _loss_with(self, np.roll(self.problem.targets, shift, axis=1), outputs)


class LossOfAllSteps(NetworkFault):
    """The loss covers every step, but the case's loss covers only some."""

    alters_forward = True
    without_loss = ""  # uncovered-steps-too
    declare = "loss: {{steps: all}}"
    needs = (steps_without_loss,)

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        return of_all_steps(self.problem, outputs)


class LossOfLastStep(NetworkFault):
    """The loss covers the last step alone, but the case's loss covers more."""

    alters_forward = True
    without_loss = ""  # upstream-of-last-step-only
    declare = "loss: {{steps: [-1]}}"
    needs = (loss_at_several_steps,)

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        case = self.problem.case
        last = replace(case, loss=replace(case.loss, steps=(-1,)))
        loss, d_outputs = replace(self.problem, case=last).loss(np.ascontiguousarray(outputs.swapaxes(0, 1)))
        return loss, d_outputs.swapaxes(0, 1)


class LossScaled(NetworkFault):
    """The loss and every gradient are {loss_scaled_by} as large as they should be, for example by another reduction."""

    alters_forward = True
    without_loss = ""  # upstream-scaled
    unlikely = 0
    loss_scaled_by: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"loss_scaled_by": each} for each in factors(problem))

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = super().loss_of(outputs)
        factor = factors(self.problem)[self.loss_scaled_by]
        return loss * factor, d_outputs * factor


class LossReducedOtherwise(NetworkFault):
    """The loss is {reduced}."""

    alters_forward = True
    without_loss = "The gradient is that of a loss that is {reduced}."
    reduced: str

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        covered = problem.covered
        uneven = len(set(covered.sum(axis=0)) - {0}) > 1 or len(set(covered.sum(axis=1)) - {0}) > 1
        return "" if uneven else "every sequence and every step has as many terms"

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"reduced": each} for each in _REDUCED)

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, covered = self.problem.case.loss, self.problem.covered
        weights = _REDUCED[self.reduced](covered)  # (B, T)
        if loss.kind != "softmax_cross_entropy":
            weights = weights / outputs.shape[-1]
        given = np.ascontiguousarray(outputs.swapaxes(0, 1))  # (B, T, O)
        rows = np.zeros(covered.shape, outputs.dtype)  # (B, T)
        rows[covered] = ROW_LOSSES[loss.kind](given[covered], self.problem.targets[covered])
        _, d_outputs = LOSSES[loss.kind](given, self.problem.targets, covered, "sum")
        return np.asarray((weights * rows).sum()), (weights[:, :, None] * d_outputs).swapaxes(0, 1)


def _means(axis: int, *, averaged: bool) -> Callable[[ndarray], ndarray]:
    """Return a function from the terms that there are, (B, T) of bool, to their weights (B, T): means along one axis,
    then their sum, or their mean.
    """

    def weights(covered: ndarray) -> ndarray:
        terms = covered.sum(axis=axis, keepdims=True)  # (B, 1) or (1, T)
        means: ndarray = covered / np.maximum(terms, 1) / ((terms > 0).sum() if averaged else 1)
        return means

    return weights


_REDUCED: dict[str, Callable[[ndarray], ndarray]] = {
    "the mean over the sequences of each one's mean over its own steps": _means(1, averaged=True),
    "the sum over the sequences of each one's mean over its own steps": _means(1, averaged=False),
    "the mean over the steps of each one's mean over the sequences that have it": _means(0, averaged=True),
    "the sum over the steps of each one's mean over the sequences that have it": _means(0, averaged=False),
}


def _loss_with(network: NetworkFault, targets: ndarray, outputs: ndarray) -> tuple[ndarray, ndarray]:
    loss, d_outputs = replace(network.problem, targets=targets).loss(np.ascontiguousarray(outputs.swapaxes(0, 1)))
    return loss, d_outputs.swapaxes(0, 1)
