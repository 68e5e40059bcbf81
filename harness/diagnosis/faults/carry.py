"""Faults of the gradient that a step hands to the step before: the state gradient on its way back through time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells import BackwardRecursion, CellLayer
from harness.diagnosis.cells.layer import Step
from harness.diagnosis.faults.base import LayerFault, RnnFault
from harness.diagnosis.faults.needs import several_layers, several_steps, square_input_weights
from harness.problem import Problem


class CarryUntransposed(LayerFault):
    """The state gradient is carried back with W_hh untransposed: δ W_hh instead of δ W_hhᵀ."""

    unlikely = 0
    hidden_by = ("one unit", "constant weights", "no gradient passes between steps")

    @override
    def weights_back(self, t: Step) -> ndarray:
        return self.turned(self.recurrent_weights()).T


class CarryThroughInputWeights(LayerFault):
    """The state gradient is carried back with W_xhᵀ instead of W_hhᵀ."""

    hidden_by = ("constant weights", "no gradient passes between steps")
    needs = (square_input_weights,)

    @override
    def weights_back(self, t: Step) -> ndarray:
        return self.W_xh.T if self.W_xh.shape == self.W_hh.shape else super().weights_back(t)


class CarryMissing(LayerFault):
    """No gradient is carried from step to step: each step's loss reaches only its own step."""

    unlikely = 0
    hidden_by = ("zero recurrent weights", "no gradient passes between steps")

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return np.zeros_like(carried)


class CarryWithoutWeights(RnnFault):
    """The gradient carried to the step before is {carried_whole} itself: the product with W_hhᵀ is missing."""

    hidden_by = ("no gradient passes between steps",)
    carried_whole: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"carried_whole": each} for each in ("δ_t", "dh_t"))

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return delta if self.carried_whole == "δ_t" else self.total(g, carried, t)


class CarryThroughFirstLayer(LayerFault):
    """Every layer carries its state gradient back with the first layer's W_hhᵀ."""

    hidden_by = ("no gradient passes between steps",)
    needs = (several_layers,)

    @override
    def weights_back(self, t: Step) -> ndarray:
        return self.first.W_hh.T


class HandedOnBeforeSlope(LayerFault):
    """The gradient handed to the step before and to the layer below lacks the derivative of the activation, or of the
    gates: the gradient of their values is taken for δ_t.
    """

    hidden_by = ("slope of one",)

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return super().carry(self.at_values(g, carried, t), g, carried, t)

    @override
    def of_inputs(self, delta: ndarray, g: ndarray) -> ndarray:
        return super().of_inputs(values_at_each_step(self, g), g)


class CarryBeforeSlope(LayerFault):
    """The gradient carried back lacks the derivative of the activation, or of the gates, at step t."""

    hidden_by = ("no gradient passes between steps", "slope of one")

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return super().carry(self.at_values(g, carried, t), g, carried, t)


class CarryNeverReset(LayerFault):
    """The gradient carried back adds up from step to step; each step should replace it."""

    hidden_by = ("no gradient passes between steps", "few steps", "no gradient reaches further than a step")

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return carried + super().carry(delta, g, carried, t)


class UpstreamHandedOn(LayerFault):
    """The gradient from above is counted twice: at its own step, and in the gradient carried to the step before."""

    hidden_by = ("no gradient passes between steps", "no upstream between the first and the last step")

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return self.to_state(g[t]) + super().carry(delta, g, carried, t)


class UpstreamTwice(LayerFault):
    """The gradient from above is added twice at each step."""

    hidden_by = ("no gradient passes between steps",)

    @override
    def total(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return g[t] + super().total(g, carried, t)


class CarryNotAdded(LayerFault):
    """At a step with a gradient from above, that gradient replaces the gradient carried back; the two should add up."""

    unlikely = 0
    hidden_by = ("no gradient passes between steps", "loss at the last step alone", "one recursion for each loss")

    @override
    def total(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return g[t] if g[t].any() else super().total(g, carried, t)


class TimeForwards(LayerFault):
    """The recursion runs from the first step to the last, in the order of the forward pass."""

    hidden_by = ("no gradient passes between steps",)
    needs = (several_steps,)

    @override
    def order(self) -> Iterable[int]:
        return range(len(self.cache.x))


class LastStepSkipped(LayerFault):
    """The recursion begins at the step before the last: the last step's own gradient is left out."""

    hidden_by = ("loss at the first step alone",)
    needs = (several_steps,)

    @override
    def order(self) -> Iterable[int]:
        return reversed(range(len(self.cache.x) - 1))


class FirstStepSkipped(LayerFault):
    """The recursion ends before the first step: that step gets no gradient, and the initial state gets the first
    step's.
    """

    unlikely = 0
    hidden_by = ("no gradient reaches the initial state",)
    needs = (several_steps,)

    @override
    def order(self) -> Iterable[int]:
        return reversed(range(1, len(self.cache.x)))


class CarryFromTheStart(LayerFault):
    """The gradient carried back starts with the last step's gradient from above; it should start with zero."""

    hidden_by = ("loss at the first step alone",)

    @override
    def recursion(self, g: ndarray) -> BackwardRecursion:
        self.start_of_carry = self.to_state(g[-1])
        return super().recursion(g)

    @override
    def first_carry(self) -> ndarray:
        return self.start_of_carry


class CarryClipped(LayerFault):
    """The state gradient is clipped into ±{carry_limit} at each step on its way back."""

    unlikely = 2
    hidden_by = ("no gradient passes between steps", "small gradients")
    carry_limit: float

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"carry_limit": limit} for limit in (0.1, 0.5, 1.0, 5.0))

    @override
    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return np.clip(super().carry(delta, g, carried, t), -self.carry_limit, self.carry_limit)


class CarryLeaksBetweenLayers(LayerFault):
    """The gradient carried back is not reset between layers: a layer's recursion starts with the final value of the
    layer above.
    """

    hidden_by = ("no gradient reaches the initial state",)
    needs = (several_layers,)

    @override
    def first_carry(self) -> ndarray:
        if self.above is None or not self.above.recursions:  # upper layers may be left out
            return super().first_carry()
        return self.above.last_carry


def values_at_each_step(layer: CellLayer, g: ndarray) -> ndarray:
    """The gradient of the gates' values, (T, B, G·H), from g (T, B, H) and the gradients that the steps received."""
    return np.stack([layer.at_values(g, layer.arrived[..., t, :, :], t) for t in range(len(g))])
