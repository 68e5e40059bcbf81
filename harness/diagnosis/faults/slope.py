"""Faults of the derivative of the activation, or of gates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.cells import BackwardRecursion
from harness.diagnosis.cells.layer import Step
from harness.diagnosis.faults.base import LayerFault, RnnFault
from harness.diagnosis.faults.needs import curved_activation, relu, several_steps
from harness.diagnosis.faults.places import PLACES, SIGMOIDS, TANHS, places
from harness.problem import Problem
from reference_impls.activations import ACTIVATIONS


class SlopeMissing(LayerFault):
    """The derivative of {missing_at} is left out."""

    unlikely = 0
    hidden_by = ("slope of one",)
    missing_at: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"missing_at": each} for each in places(problem))

    @override
    def slope_of(self, gate: str) -> ndarray:
        return np.ones_like(self.value_of(gate)) if gate in PLACES[self.missing_at] else super().slope_of(gate)


class SlopeOfAnotherActivation(LayerFault):
    """The derivative of {another_at} is that of {whose_slope}, though the forward pass uses another function."""

    hidden_by = ("slope of one",)
    another_at: str
    whose_slope: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        # That of the identity is 1: slope-missing.
        others = [each for each in ACTIVATIONS if each not in (problem.case.activation, "identity")]
        ways = {"tanh": (SIGMOIDS, ["tanh"]), "sigmoid": (TANHS, ["sigmoid"]), "rnn": (frozenset("h"), others)}
        for among, names in ways.values():
            yield from ({"another_at": at, "whose_slope": each} for at in places(problem, among) for each in names)

    @override
    def slope_of(self, gate: str) -> ndarray:
        if gate not in PLACES[self.another_at]:
            return super().slope_of(gate)
        return ACTIVATIONS[self.whose_slope].slope_at_value(self.value_of(gate))


class SlopeFormulaAtPreActivation(LayerFault):
    """The derivative's formula for {formula_at}, which takes the value h = φ(a), receives the argument a: 1 − a² for
    tanh.
    """

    hidden_by = ("slope of one",)
    formula_at: str
    needs = (curved_activation,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"formula_at": each} for each in places(problem))

    @override
    def slope_of(self, gate: str) -> ndarray:
        if gate not in PLACES[self.formula_at]:
            return super().slope_of(gate)
        return self.activation_of(gate).slope_at_value(self.argument_of(gate))


class SlopeOfTheValue(LayerFault):
    """The derivative of {value_at} is taken at its value instead of its argument: the function is applied once too
    often, as in 1 − tanh²(h_t) or σ(i_t) (1 − σ(i_t)).
    """

    value_at: str
    needs = (curved_activation,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"value_at": each} for each in places(problem))

    @override
    def slope_of(self, gate: str) -> ndarray:
        if gate not in PLACES[self.value_at]:
            return super().slope_of(gate)
        value, activation = self.value_of(gate), self.activation_of(gate)
        return activation.slope_at_value(activation.value(value.copy(), np.empty_like(value)))


class SlopeOfTheStepBefore(LayerFault):
    """The derivative is taken at the step before: φ' at a_{{t-1}}, through h_{{t-1}}."""

    unlikely = 0
    hidden_by = ("slope of one",)
    cells = ("rnn",)

    @override
    def slope(self) -> ndarray:
        return self.activation_of("h").slope_at_value(self.cache.before)


class SlopeOfTheNextStep(LayerFault):
    """The derivative is taken at the step after; at the last step, at its own."""

    hidden_by = ("slope of one",)
    needs = (several_steps,)

    @override
    def slope_of(self, gate: str) -> ndarray:
        slope = super().slope_of(gate)
        return np.concatenate([slope[1:], slope[-1:]])


class SlopeOfTheLossStep(RnnFault):
    """The derivative is taken at the step whose loss is carried back, at every step on the way of that loss."""

    hidden_by = ("slope of one", "loss at the first step alone")
    needs = (several_steps,)

    @override
    def recursion(self, g: ndarray) -> BackwardRecursion:
        own, runs = self.slopes, []
        for t in np.flatnonzero(g.any(axis=(1, 2))):
            of_loss = np.zeros_like(g)  # (T, B, H)
            of_loss[t] = g[t]
            self.slopes = np.broadcast_to(own[t], own.shape)
            runs.append(super().recursion(of_loss))
        self.slopes = own
        nothing = super().recursion(np.zeros_like(g))
        return BackwardRecursion(
            g, *(sum(each, of_none) for *each, of_none in zip(*(run[1:] for run in (*runs, nothing)), strict=True))
        )


class SlopeDivided(LayerFault):
    """The gradient is divided by the derivative of {divided_at}; it should be multiplied by it."""

    hidden_by = ("slope of one",)
    divided_at: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"divided_at": each} for each in places(problem))

    @override
    def slope_of(self, gate: str) -> ndarray:
        slope = super().slope_of(gate)
        return 1 / slope if gate in PLACES[self.divided_at] else slope


class SlopeAtCell(LayerFault):
    """The derivative of {celled_at} is the formula for a value, 1 − tanh² or σ (1 − σ), with c_t in its place."""

    cells = ("lstm",)
    celled_at: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        # At tanh(c_t) that is slope-formula-at-pre-activation.
        yield from ({"celled_at": each} for each in places(problem) if PLACES[each] != frozenset("c"))

    @override
    def slope_of(self, gate: str) -> ndarray:
        if gate not in PLACES[self.celled_at]:
            return super().slope_of(gate)
        return self.activation_of(gate).slope_at_value(self.argument_of("c"))


class SlopeOnUpstreamOnly(RnnFault):
    """The derivative multiplies the gradient from above, but not the gradient carried back from the next step."""

    hidden_by = ("no gradient passes between steps", "slope of one")

    @override
    def through_activation(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return g[t] * self.slopes[t] + carried


class SlopeOnCarriedOnly(RnnFault):
    """The derivative multiplies the gradient carried back from the next step, but not the gradient from above."""

    hidden_by = ("slope of one",)

    @override
    def through_activation(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return g[t] + carried * self.slopes[t]


class CarriedSlopeOfNextStep(RnnFault):
    """The gradient carried back is multiplied a second time by the derivative of the step that it comes from, instead
    of its own step.
    """

    hidden_by = ("no gradient passes between steps", "slope of one")
    needs = (several_steps,)

    @override
    def prepare(self) -> None:
        super().prepare()
        self.slopes_after = np.concatenate([self.slopes[1:], self.slopes[-1:]])  # (T, B, H)

    @override
    def through_activation(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        return g[t] * self.slopes[t] + carried * self.slopes_after[t]


class ReluLeaks(RnnFault):
    """relu's derivative is {leak} where the pre-activation is negative, like that of a leaky relu."""

    unlikely = 2
    hidden_by = ("slope of one",)
    leak: float
    needs = (relu,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"leak": leak} for leak in (0.01, 0.1, 0.2, 0.3))

    @override
    def slope(self) -> ndarray:
        return np.where(self.cache.pre < 0, self.leak, super().slope()).astype(self.cache.pre.dtype)


class CacheOverwritten(LayerFault):
    """Every step has the last step's state: one array keeps the states of all steps, and each step overwrites it."""

    unlikely = 0
    hidden_by = ("same state at every step",)
    needs = (several_steps,)

    @override
    def backward(self, g: ndarray) -> ndarray:
        whole = self.cache
        last = {name: self._last(getattr(whole, name)) for name in whole._fields if name not in ("x", "before")}
        self.cache = whole._replace(**last, before=self._last(whole.after))
        d_x = super().backward(g)
        self.cache = whole
        return d_x

    def _last(self, kept: ndarray) -> ndarray:
        return np.broadcast_to(kept[-1:], kept.shape)


class SlopeTwice(LayerFault):
    """Each step multiplies by the derivative of {twice_at} twice."""

    hidden_by = (
        "slope of zero or one",
        "slope of one",
    )
    twice_at: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"twice_at": each} for each in places(problem))

    @override
    def slope_of(self, gate: str) -> ndarray:
        slope = super().slope_of(gate)
        return slope**2 if gate in PLACES[self.twice_at] else slope


class SlopeNotSquared(LayerFault):
    """The derivative of tanh at {unsquared_at} is written 1 − h, without the square."""

    unsquared_at: str

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.activation == "tanh" else "the activation is not tanh"

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"unsquared_at": each} for each in places(problem, TANHS | frozenset("h")))

    @override
    def slope_of(self, gate: str) -> ndarray:
        return 1 - self.value_of(gate) if gate in PLACES[self.unsquared_at] else super().slope_of(gate)


class SlopeIsValue(LayerFault):
    """The derivative of {slopeless_at} is replaced by its value."""

    hidden_by = ("one step",)
    slopeless_at: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"slopeless_at": each} for each in places(problem))

    @override
    def slope_of(self, gate: str) -> ndarray:
        return self.value_of(gate) if gate in PLACES[self.slopeless_at] else super().slope_of(gate)


class SlopeIsSigmoidOfValue(LayerFault):
    """The derivative of {resquashed_at} is replaced by the sigmoid of its value: σ(f_t)."""

    cells = ("lstm", "gru")
    resquashed_at: str

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"resquashed_at": each} for each in places(problem, SIGMOIDS))

    @override
    def slope_of(self, gate: str) -> ndarray:
        if gate not in PLACES[self.resquashed_at]:
            return super().slope_of(gate)
        value = self.value_of(gate)
        return self.activation_of(gate).value(value.copy(), np.empty_like(value))


class ReluSlopeAtKink(RnnFault):
    """relu's derivative is {kink_slope} at a pre-activation of exactly 0, where torch and TensorFlow take 0."""

    unlikely = 2
    hidden_by = ("no pre-activation is exactly zero",)
    kink_slope: float
    needs = (relu,)

    @override
    @classmethod
    def variants(cls, problem: Problem) -> Iterator[dict[str, Any]]:
        yield from ({"kink_slope": slope} for slope in (1.0, 0.5))

    @override
    def slope(self) -> ndarray:
        return np.where(self.cache.pre == 0, self.kink_slope, super().slope()).astype(self.cache.pre.dtype)
