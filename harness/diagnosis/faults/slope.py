"""Faults of the activation's derivative."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.faults.base import LayerFault
from harness.problem import Problem
from reference_impls.activations import ACTIVATIONS


class SlopeMissing(LayerFault):
    """The activation's derivative is left out: δ_t is dL/dh_t itself."""

    unlikely = 0
    hidden_by = ("slope of one",)

    @override
    def slope(self) -> ndarray:
        return np.ones_like(self.tape.after)


class SlopeOfAnotherActivation(LayerFault):
    """The derivative is that of {slope_of}, though the forward pass is not."""

    hidden_by = ("slope of one",)
    slope_of: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        # That of the identity is 1: slope-missing.
        yield from ({"slope_of": each} for each in ACTIVATIONS if each not in (problem.case.activation, "identity"))

    @override
    def slope(self) -> ndarray:
        return ACTIVATIONS[self.slope_of].slope_at_value(self.tape.after)


class SlopeFormulaAtPreActivation(LayerFault):
    """The derivative's formula, which takes the value h = φ(a), is given the pre-activation a: 1 − a² for tanh."""

    hidden_by = ("slope of one",)

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return _piecewise_linear(problem)

    @override
    def slope(self) -> ndarray:
        return self.activation().slope_at_value(self.tape.pre)


class SlopeOfTheValue(LayerFault):
    """The derivative is taken at h_t where it belongs at a_t: the activation is applied once too often, 1 −
    tanh²(h_t).
    """

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return _piecewise_linear(problem)

    @override
    def slope(self) -> ndarray:
        after = self.tape.after
        activation = self.activation()
        return activation.slope_at_value(activation.value(after.copy(), np.empty_like(after)))


class SlopeOfTheStepBefore(LayerFault):
    """The derivative is taken at the step before: φ' at a_{{t-1}}, through h_{{t-1}}."""

    unlikely = 0
    hidden_by = ("slope of one",)

    @override
    def slope(self) -> ndarray:
        return self.activation().slope_at_value(self.tape.before)


class SlopeOfTheNextStep(LayerFault):
    """The derivative is taken at the step after; at the last step, at its own."""

    hidden_by = ("slope of one",)

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "there is only one step" if problem.case.sizes.time == 1 else ""

    @override
    def slope(self) -> ndarray:
        slope = super().slope()
        return np.concatenate([slope[1:], slope[-1:]])


class SlopeOnUpstreamOnly(LayerFault):
    """The derivative multiplies the gradient from above and not what is carried back from the next step."""

    hidden_by = ("no gradient passes between steps", "slope of one")

    @override
    def through_activation(self, g: ndarray, carried: ndarray, slope: ndarray, t: int) -> ndarray:
        return g[t] * slope[t] + carried


class SlopeOnCarriedOnly(LayerFault):
    """The derivative multiplies what is carried back from the next step and not the gradient from above."""

    hidden_by = ("slope of one",)

    @override
    def through_activation(self, g: ndarray, carried: ndarray, slope: ndarray, t: int) -> ndarray:
        return g[t] + carried * slope[t]


class CarriedSlopeOfNextStep(LayerFault):
    """What is carried back is multiplied by the derivative of the step that it comes from, a second time, and not by
    that of its own step.
    """

    hidden_by = ("no gradient passes between steps", "slope of one")

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "there is only one step" if problem.case.sizes.time == 1 else ""

    @override
    def through_activation(self, g: ndarray, carried: ndarray, slope: ndarray, t: int) -> ndarray:
        return g[t] * slope[t] + carried * slope[min(t + 1, len(slope) - 1)]


class ReluLeaks(LayerFault):
    """relu's derivative is {leak} where the pre-activation is negative, as that of a leaky relu."""

    unlikely = 2
    hidden_by = ("slope of one",)
    leak: float

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.activation == "relu" else "the activation is not relu"

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"leak": leak} for leak in (0.01, 0.1, 0.2, 0.3))

    @override
    def slope(self) -> ndarray:
        return np.where(self.tape.pre < 0, self.leak, super().slope()).astype(self.tape.pre.dtype)


class CacheOverwritten(LayerFault):
    """Every step has the last step's state: what is kept of each step is one array, which the next step writes over."""

    unlikely = 0
    hidden_by = ("same state at every step",)

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "there is only one step" if problem.case.sizes.time == 1 else ""

    @override
    def slope(self) -> ndarray:
        return np.broadcast_to(super().slope()[-1:], self.tape.after.shape).copy()

    @override
    def state_operand(self) -> ndarray:
        return np.broadcast_to(self.tape.after[-1:], self.tape.after.shape)


class SlopeTwice(LayerFault):
    """The derivative is multiplied in twice at each step."""

    hidden_by = (
        "slope of zero or one",
        "slope of one",
    )

    @override
    def slope(self) -> ndarray:
        return super().slope() ** 2


class SlopeNotSquared(LayerFault):
    """The derivative of tanh is written 1 − h, without the square."""

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.activation == "tanh" else "the activation is not tanh"

    @override
    def slope(self) -> ndarray:
        return 1 - self.tape.after


class SlopeIsValue(LayerFault):
    """The value h_t itself stands where the derivative belongs."""

    hidden_by = ("one step",)

    @override
    def slope(self) -> ndarray:
        return self.tape.after


class ReluSlopeAtKink(LayerFault):
    """relu's derivative is {kink_slope} at a pre-activation of exactly 0, where torch and TensorFlow take 0."""

    unlikely = 2
    hidden_by = ("no pre-activation is exactly zero",)
    kink_slope: float

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.activation == "relu" else "the activation is not relu"

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"kink_slope": slope} for slope in (1.0, 0.5))

    @override
    def slope(self) -> ndarray:
        return np.where(self.tape.pre == 0, self.kink_slope, super().slope()).astype(self.tape.pre.dtype)


def _piecewise_linear(problem: Problem) -> str:
    name = problem.case.activation
    return f"the derivative of {name} is the same there" if name in ("relu", "identity") else ""
