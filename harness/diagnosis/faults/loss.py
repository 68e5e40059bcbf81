"""Another loss, with the gradient that is right for it: another reduction, other steps, other targets."""

from __future__ import annotations

from collections.abc import Iterator
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


def _loss_with(network: NetworkFault, targets: ndarray, outputs: ndarray) -> tuple[ndarray, ndarray]:
    loss, d_outputs = replace(network.problem, targets=targets).loss(np.ascontiguousarray(outputs.swapaxes(0, 1)))
    return loss, d_outputs.swapaxes(0, 1)
