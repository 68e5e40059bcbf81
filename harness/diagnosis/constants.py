"""Small constants in a forward pass, as people add them "to be safe": log(p + 1e-12), tanh(a + 1e-12), x / (n + 1e-12).

They move every number by about as much, far more than rounding in float64. The place is found by the change that the
constant makes, to first order; its size is fitted to the first wrong tensor, and rounded to one digit. What remains of
the numbers is explained on top of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.diagnosis.evidence import Evidence
from harness.diagnosis.faults.base import Fault, LayerFault, NetworkFault, Suspect, obstacle_to
from harness.diagnosis.faults.softmax import softmax
from harness.diagnosis.parts import ExplanationPart, Settled
from harness.diagnosis.predictions import Predictions
from harness.problem import Problem
from reference_impls.activations import Activation

NAME = "constant-added"

NEARLY_RIGHT = {"float64": 1e-5, "float32": 1e-4}
"""Largest error of a forward pass with a small constant, relative to the largest element of its tensors."""

UNIT = 1e-6
"""The constant by which the change to first order is measured."""

FORWARD = ("outputs", "loss")


class _Constant(Fault):
    """A constant somewhere in the forward pass.

    Attributes:
        where: the place, in words.
        constant: its size.
    """

    alters_forward = True
    where = ""
    constant: float = UNIT


class _InArgument(_Constant, LayerFault):
    where = "the argument of each nonlinearity"

    @override
    def bias(self) -> ndarray:
        return super().bias() + self.constant


class _InDenominator(_Constant, LayerFault):
    where = "the denominator of the activations, (eᵃ − e⁻ᵃ) / (eᵃ + e⁻ᵃ + constant) or 1 / (1 + e⁻ᵃ + constant)"

    @override
    def activation_of(self, gate: str) -> Activation:
        own = super().activation_of(gate)

        def value(a: ndarray, out: ndarray) -> ndarray:
            argument = np.array(a)
            found = own.value(a, out)
            if own.slope_at_value(np.zeros(1))[0] == 1:  # tanh
                found /= 1 + self.constant / (2 * np.cosh(argument))
            else:
                found /= 1 + self.constant * found
            return found

        return Activation(value, own.slope_at_value)

    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        squashes = problem.structure.cell != "rnn" or problem.case.activation in ("tanh", "sigmoid")
        return "" if squashes else "nothing is divided"


class _OfSoftmax(_Constant, NetworkFault):
    @override
    @classmethod
    def obstacle(cls, problem: Problem) -> str:
        return "" if problem.case.loss.kind == "softmax_cross_entropy" else "the loss is not softmax_cross_entropy"

    def changed(self, outputs: ndarray, change: Callable[[ndarray], ndarray]) -> ndarray:
        """Return the sum over the loss's terms of the change of −log p, (), given the change of each step (T, B)."""
        covered = self.problem.covered.T  # (T, B)
        terms = covered.sum() if self.problem.case.loss.reduction == "mean" else 1
        return np.asarray(np.where(covered, change(outputs), 0).sum() / terms)

    def labelled(self, values: ndarray) -> ndarray:
        """The values (T, B, O) of the labels: (T, B)."""
        found: ndarray = np.take_along_axis(values, self.problem.targets.T[:, :, None], axis=-1)[:, :, 0]
        return found


class _InLogarithm(_OfSoftmax):
    where = "the probability under the logarithm of the loss"

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = super().loss_of(outputs)
        return loss - self.changed(outputs, lambda y: np.log1p(self.constant / self.labelled(softmax(y)))), d_outputs


class _InSoftmax(_OfSoftmax):
    where = "the denominator of the softmax"
    shifted = False

    @override
    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = super().loss_of(outputs)
        shift = outputs.max(axis=-1, keepdims=True) if self.shifted else 0.0
        share = self.constant / np.exp(outputs - shift).sum(axis=-1)  # (T, B)
        covered = self.problem.covered.T  # (T, B)
        terms = covered.sum() if self.problem.case.loss.reduction == "mean" else 1
        smaller = np.where(covered, share / (1 + share), 0)[:, :, None] * softmax(outputs) / terms
        return loss + self.changed(outputs, lambda _: np.log1p(share)), d_outputs - smaller


class _InShiftedSoftmax(_InSoftmax):
    where = "the denominator of the softmax, whose largest exponential is 1"
    shifted = True


PLACES: tuple[type[_Constant], ...] = (_InArgument, _InDenominator, _InLogarithm, _InSoftmax, _InShiftedSoftmax)


@dataclass(frozen=True, eq=False)
class Nearly:
    """A forward pass that is right but for a small constant.

    Attributes:
        settled: the constant, and the tensors that it explains.
        predictions: those with the constant taken for granted; None if its place is not known.
        error: the largest error of the forward pass, relative to the largest element of its tensor.
    """

    settled: Settled
    predictions: Predictions | None
    error: float


def nearly_right(evidence: Evidence, predictions: Predictions) -> Nearly | None:
    """Return what is known of a small constant in the forward pass; None if there is none."""
    first = next((name for name in FORWARD if name in evidence.off), None)
    if first is None:
        return None
    error = max(evidence.fit(name, evidence.truth[name]).residual for name in FORWARD if name in evidence.off)
    if error > NEARLY_RIGHT[predictions.problem.case.dtype]:
        return None
    for place in PLACES:
        if obstacle_to(place, predictions.problem):
            continue
        rate = _fitted(place, first, evidence, predictions)
        if not rate:
            continue
        granted = Predictions(predictions.problem, predictions.noise, (_with(place, rate),))
        fits = {n: evidence.residual_if_agrees(n, granted.truth[n]) for n in FORWARD if n in evidence.names}
        if all(fit is not None for fit in fits.values()):
            off = set(evidence.off) - set(_off(evidence, granted))
            residuals = {name: evidence.fit(name, granted.truth[name]).residual for name in evidence.off if name in off}
            text = f"{rate:g} is added to {place.where} in the forward pass."
            return Nearly(Settled((ExplanationPart(NAME, text, fitted=1),), residuals), granted, error)
    text = (
        f"The forward pass is right to {error:.1e} of its largest element, as when a small constant is added somewhere."
    )
    return Nearly(Settled((ExplanationPart(NAME, text, fitted=1),), {first: error}), None, error)


def _off(evidence: Evidence, granted: Predictions) -> list[str]:
    return [name for name in evidence.off if evidence.residual_if_agrees(name, granted.truth[name]) is None]


def _with(place: type[_Constant], constant: float) -> Suspect:
    return Suspect(type(place.__name__, (place,), {"constant": constant, "__doc__": place.__doc__}))


def _fitted(place: type[_Constant], first: str, evidence: Evidence, predictions: Predictions) -> float:
    """Return the constant by the change that it makes in a tensor, to first order, in one digit; 0 for none."""
    there = predictions.predict((_with(place, UNIT),)).changed.get(first)
    if there is None:
        return 0.0
    known = evidence.known.get(first, np.ones(there.shape, np.bool_))
    per_unit = ((there - evidence.truth[first]) / UNIT)[known]
    off = (evidence.actual[first] - evidence.truth[first])[known]
    return float(f"{float(np.vdot(per_unit, off) / np.vdot(per_unit, per_unit)):.1g}")
