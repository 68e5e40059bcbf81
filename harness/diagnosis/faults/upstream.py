"""Faults of the gradient of the outputs, and of its way through the readout: the loss's value is right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.faults.base import NetworkFault
from harness.diagnosis.faults.needs import linear_readout, loss_at_several_steps, several_steps, steps_without_loss
from harness.diagnosis.faults.scale import factors
from harness.problem import Problem


class UpstreamOfLastStepOnly(NetworkFault):
    """Only the last step's loss is carried back."""

    hidden_by = ("loss at the last step alone",)
    needs = (loss_at_several_steps,)

    @override
    def upstream(self, d_outputs: ndarray) -> ndarray:
        last = np.zeros_like(d_outputs)
        t = self.problem.case.steps[-1]
        last[t] = super().upstream(d_outputs)[t]
        return last


class UpstreamStepMissing(NetworkFault):
    """The loss of the {missing_step} step that it covers is not carried back."""

    missing_step: str
    needs = (loss_at_several_steps,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        # Two steps without the first: upstream-of-last-step-only.
        missing = ("first", "last") if len(problem.case.steps) > 2 else ("last",)
        yield from ({"missing_step": which} for which in missing)

    @override
    def upstream(self, d_outputs: ndarray) -> ndarray:
        rest = super().upstream(d_outputs).copy()
        rest[self.problem.case.steps[0 if self.missing_step == "first" else -1]] = 0
        return rest


class UpstreamStepsReversed(NetworkFault):
    """The gradient of the outputs is carried back in reversed order of time."""

    needs = (several_steps,)

    @override
    def upstream(self, d_outputs: ndarray) -> ndarray:
        return super().upstream(d_outputs)[::-1]


class UpstreamOneStepLate(NetworkFault):
    """The gradient of the outputs of step t is carried back from step t + 1; that of the last step {last_goes}."""

    last_goes: str
    needs = (several_steps,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield {"last_goes": "is lost"}
        if problem.case.sizes.time - 1 in problem.case.steps:
            yield {"last_goes": "goes to the first"}

    @override
    def upstream(self, d_outputs: ndarray) -> ndarray:
        late = np.roll(super().upstream(d_outputs), 1, axis=0)
        if self.last_goes == "is lost":
            late[0] = 0
        return late


class SquaredErrorHalved(NetworkFault):
    """Every gradient is half as large, that of ½ (y − t)²: the factor 2 is missing, though the loss has no ½."""

    unlikely = 0
    without_loss = ""  # upstream-scaled

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.loss.kind == "squared_error" else "the loss is not squared_error"

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = super().loss_of(outputs)
        return loss, d_outputs / 2


class UpstreamScaled(NetworkFault):
    """Every gradient is {scaled_by} as large as it should be: the gradient of the outputs has a factor that the loss
    does not have (mean for sum, or a sign).
    """

    unlikely = 0
    without_loss = "Every gradient is {scaled_by} as large as it should be: the upstream gradient has a factor."
    scaled_by: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"scaled_by": each} for each in factors(problem))

    @override
    def upstream(self, d_outputs: ndarray) -> ndarray:
        return super().upstream(d_outputs) * factors(self.problem)[self.scaled_by]


class UncoveredStepsToo(NetworkFault):
    """Every step's loss is carried back, though the loss covers only some steps."""

    needs = (steps_without_loss,)

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, _ = super().loss_of(outputs)
        return loss, of_all_steps(self.problem, outputs)[1]


class ReadoutUntransposed(NetworkFault):
    """The output error is carried to the states with W_hy untransposed."""

    hidden_by = ("one unit",)
    needs = (linear_readout,)

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.sizes.output == problem.case.sizes.hidden else "W_hy is not square"

    @override
    def through_readout(self, d_outputs: ndarray) -> ndarray:
        return d_outputs @ self.problem.weights["readout.W_hy"]


def of_all_steps(problem: Problem, outputs: ndarray) -> tuple[ndarray, ndarray]:
    """Return the loss and d_outputs (T, B, O) of outputs (T, B, O) for a loss over every step."""
    from reference_impls.losses import LOSSES

    loss = problem.case.loss
    value, d_outputs = LOSSES[loss.kind](
        np.ascontiguousarray(outputs.swapaxes(0, 1)), problem.targets, problem.valid, loss.reduction
    )
    return value, d_outputs.swapaxes(0, 1)
