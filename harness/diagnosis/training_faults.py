"""Faults between a right gradient and the next step of a training: one class for each.

Each changes one of the rules of a training, and its docstring is its explanation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.case.fields import Training
from harness.problem import Problem
from harness.training import Rules
from harness.training.rules import Tensors
from reference_impls import optimisers


class TrainingFault(Rules):
    """A training with one fault.

    Attributes:
        needs: the keys of ``training`` that the fault requires, and one of ``sgd`` and ``adam``.
        other: the values that replace those of the case's training.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    other: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def fault(cls) -> str:
        """The fault's name."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    def explanation(cls) -> str:
        """Its explanation, in one sentence."""
        return " ".join((cls.__doc__ or "").split())

    @classmethod
    def possible(cls, problem: Problem) -> bool:
        """Return whether a training can have this fault, and would be another with it."""
        training = problem.case.training
        assert training != "none"
        there = {name for name, value in training.items() if value} | training["optimizer"].keys()
        return set(cls.needs) <= there and cls.changes(problem)

    @classmethod
    def changes(cls, problem: Problem) -> bool:
        """Return whether the misread training differs from the case."""
        training = dict(problem.case.training)  # type: ignore[arg-type]
        return not cls.other or any(training.get(name) != value for name, value in cls.other.items())

    @classmethod
    def read(cls, problem: Problem) -> Problem:
        """Return the problem with the misread training."""
        training = cast(Training, {**dict(problem.case.training), **cls.other})  # type: ignore[arg-type]
        return replace(problem, case=replace(problem.case, training=training))


class WeightsNeverUpdated(TrainingFault):
    """The weights are never updated: every step has those of the first."""

    @override
    def updated(self, weights: Tensors, gradients: Tensors, lr: float) -> Tensors:
        return weights


class LearningRateNeverUsed(TrainingFault):
    """The learning rate is never used: the update has a rate of 1."""

    @override
    def updated(self, weights: Tensors, gradients: Tensors, lr: float) -> Tensors:
        return super().updated(weights, gradients, 1.0)


class Ascends(TrainingFault):
    """The update has the wrong sign: it goes up the gradient."""

    @override
    def updated(self, weights: Tensors, gradients: Tensors, lr: float) -> Tensors:
        return super().updated(weights, gradients, -lr)


class Momentum(TrainingFault):
    """Gradient descent has a momentum of 0.9, though the case has none."""

    needs = ("sgd",)
    velocity: Mapping[str, ndarray] | None = None

    @override
    def updated(self, weights: Tensors, gradients: Tensors, lr: float) -> Tensors:
        before = self.velocity or {name: np.zeros_like(w) for name, w in weights.items()}
        self.velocity = {name: 0.9 * before[name] + gradients[name] for name in weights}
        return super().updated(weights, self.velocity, lr)


class BiasMovesTwice(TrainingFault):
    """Each recurrent bias moves twice as far, like the sum of two biases that are both trained."""

    @override
    def updated(self, weights: Tensors, gradients: Tensors, lr: float) -> Tensors:
        moved = super().updated(weights, gradients, lr)
        return {name: 2 * moved[name] - w if name.endswith(".b_h") else moved[name] for name, w in weights.items()}


class NotClippedByValue(TrainingFault):
    """The gradient is not clipped by value."""

    needs = ("clip_value",)
    other: ClassVar[Mapping[str, Any]] = {"clip_value": None}


class NotClippedByNorm(TrainingFault):
    """The gradient is not clipped by its norm."""

    needs = ("clip_norm",)
    other: ClassVar[Mapping[str, Any]] = {"clip_norm": None}


class NotClipped(TrainingFault):
    """The gradient is not clipped at all, neither by value nor by norm."""

    needs = ("clip_value", "clip_norm")
    other: ClassVar[Mapping[str, Any]] = {"clip_value": None, "clip_norm": None}


class NormBeforeValue(TrainingFault):
    """The gradient is clipped by its norm first and by value second; the case has the opposite order."""

    needs = ("clip_value", "clip_norm")

    @override
    def limited(self, gradients: Tensors) -> Tensors:
        scaled = optimisers.clipped_by_norm(gradients, self.training["clip_norm"])
        return optimisers.clipped_by_value(scaled, self.training["clip_value"])


class NormOfEachTensor(TrainingFault):
    """The norm of each tensor is clipped instead of the norm of all together."""

    needs = ("clip_norm",)

    @override
    def limited(self, gradients: Tensors) -> Tensors:
        limited: dict[str, ndarray] = {}
        for name, gradient in gradients.items():
            limited |= super().limited({name: gradient})
        return limited


class AlwaysScaledToNorm(TrainingFault):
    """The gradient is scaled to the limit of its norm at every step, even if it is shorter."""

    needs = ("clip_norm",)

    @override
    def limited(self, gradients: Tensors) -> Tensors:
        factor = self.training["clip_norm"] / optimisers.global_norm(gradients)
        return {name: each * factor for name, each in gradients.items()}


class NormWithEpsilon(TrainingFault):
    """The gradient is scaled by limit / (norm + 1e-6), as by torch's clip_grad_norm_."""

    needs = ("clip_norm",)

    @override
    def limited(self, gradients: Tensors) -> Tensors:
        if "clip_value" in self.training:
            gradients = optimisers.clipped_by_value(gradients, self.training["clip_value"])
        factor = np.minimum(self.training["clip_norm"] / (optimisers.global_norm(gradients) + 1e-6), 1)
        return {name: each * factor for name, each in gradients.items()}


class UpdateClipped(TrainingFault):
    """The update is clipped after the optimizer, instead of the gradient before it."""

    needs = ("adam",)

    @classmethod
    @override
    def changes(cls, problem: Problem) -> bool:
        return bool({"clip_value", "clip_norm"} & dict(problem.case.training).keys())  # type: ignore[arg-type]

    @override
    def limited(self, gradients: Tensors) -> Tensors:
        return gradients

    @override
    def updated(self, weights: Tensors, gradients: Tensors, lr: float) -> Tensors:
        moved = super().updated(weights, gradients, lr)
        updates = super().limited({name: w - moved[name] for name, w in weights.items()})
        return {name: w - updates[name] for name, w in weights.items()}


class _AdamOtherwise(TrainingFault):
    needs = ("adam",)

    def step(self, first: ndarray, second: ndarray, t: int) -> ndarray:
        """Return the step of a weight for a learning rate of 1, given its moments after update t."""
        corrected = second / (1 - optimisers.BETA_2**t)
        return first / (1 - optimisers.BETA_1**t) / (np.sqrt(corrected) + optimisers.EPSILON)

    @override
    def updated(self, weights: Tensors, gradients: Tensors, lr: float) -> Tensors:
        super().updated(weights, gradients, lr)
        assert self.moments is not None
        m, v, t = self.moments
        return {name: w - lr * self.step(m[name], v[name], t) for name, w in weights.items()}


class AdamUncorrected(_AdamOtherwise):
    """Adam's moments are not corrected for their start at zero."""

    @override
    def step(self, first: ndarray, second: ndarray, t: int) -> ndarray:
        return first / (np.sqrt(second) + optimisers.EPSILON)


class AdamEpsilonUncorrected(_AdamOtherwise):
    """Adam's epsilon, 1e-8, is added to the root before the root is corrected."""

    epsilon = optimisers.EPSILON

    @override
    def step(self, first: ndarray, second: ndarray, t: int) -> ndarray:
        correction = (1 - optimisers.BETA_2**t) ** 0.5 / (1 - optimisers.BETA_1**t)
        return correction * first / (np.sqrt(second) + self.epsilon)


class AdamEpsilonOfKeras(AdamEpsilonUncorrected):
    """Adam's epsilon is 1e-7 and added to the root before the root is corrected, as in Keras."""

    epsilon = 1e-7


class AdamEpsilonInRoot(_AdamOtherwise):
    """Adam's epsilon is added to the second moment, inside the root."""

    @override
    def step(self, first: ndarray, second: ndarray, t: int) -> ndarray:
        corrected = second / (1 - optimisers.BETA_2**t)
        return first / (1 - optimisers.BETA_1**t) / np.sqrt(corrected + optimisers.EPSILON)


class AdamMomentsLost(_AdamOtherwise):
    """Adam's moments are not kept from one update to the next."""

    @override
    def updated(self, weights: Tensors, gradients: Tensors, lr: float) -> Tensors:
        self.moments = None
        return super().updated(weights, gradients, lr)


class CorrectionsInFloat32(_AdamOtherwise):
    """Adam's corrections are computed from betas in float32, as in Keras."""

    @override
    def step(self, first: ndarray, second: ndarray, t: int) -> ndarray:
        beta_1, beta_2 = (second.dtype.type(np.float32(beta)) for beta in (optimisers.BETA_1, optimisers.BETA_2))
        corrected = second / (1 - beta_2**t)
        exactly = second / (1 - optimisers.BETA_2**t)
        scale = np.sqrt(exactly) + optimisers.EPSILON
        return first / (1 - beta_1**t) * np.where(corrected > 0, np.sqrt(exactly / corrected), 1) / scale


class RateInFloat32(TrainingFault):
    """The learning rate is kept in float32, as in Keras."""

    @override
    def updated(self, weights: Tensors, gradients: Tensors, lr: float) -> Tensors:
        return super().updated(weights, gradients, float(np.float32(lr)))


class RateNeverHalved(TrainingFault):
    """The learning rate is never halved, though the loss rises."""

    needs = ("halve_lr_when_loss_rises",)
    other: ClassVar[Mapping[str, Any]] = {"halve_lr_when_loss_rises": False}


class RateHalvedLate(TrainingFault):
    """The learning rate is halved one update late: after the update that follows the rise."""

    needs = ("halve_lr_when_loss_rises",)
    due: float | None = None

    @override
    def updated(self, weights: Tensors, gradients: Tensors, lr: float) -> Tensors:
        used, self.due = (lr if self.due is None else self.due), lr
        return super().updated(weights, gradients, used)


class RateHalvedOnce(TrainingFault):
    """The learning rate is halved at the first rise of the loss alone."""

    needs = ("halve_lr_when_loss_rises",)

    @override
    def next_rate(self, lr: float, of_passes: Sequence[float]) -> float:
        return min(lr, super().next_rate(self.first_rate(), of_passes))


class StateNotCarried(TrainingFault):
    """Each step starts with the initial state instead of the final state of the step before."""

    needs = ("carry_state",)
    other: ClassVar[Mapping[str, Any]] = {"carry_state": False}


class StateCarried(TrainingFault):
    """Each step starts with the final state of the step before instead of the initial state."""

    other: ClassVar[Mapping[str, Any]] = {"carry_state": True}


class FrozenTrained(TrainingFault):
    """Weights that should be frozen are trained with the others."""

    needs = ("frozen",)
    other: ClassVar[Mapping[str, Any]] = {"frozen": []}


FACTORS = (2.0, 0.5, 10.0, 0.1)
"""Common factors of wrong learning rates, besides the sizes of the case."""


def with_rate(factor: float, what: str) -> type[TrainingFault]:
    """Return the fault of a learning rate that is multiplied by a factor, which ``what`` describes."""

    class RateTimesFactor(TrainingFault):
        __doc__ = f"The learning rate is {factor:.6g} times what it should be{what}."

        @override
        def updated(self, weights: Tensors, gradients: Tensors, lr: float) -> Tensors:
            return super().updated(weights, gradients, lr * factor)

    return RateTimesFactor


def faults_of(problem: Problem) -> list[type[TrainingFault]]:
    """Return the faults that a problem's training can have, those of the case's own sizes among them."""
    sizes = {"the batch": problem.case.sizes.batch, "the time steps": problem.case.sizes.time}
    training = problem.case.training
    if training != "none" and "batch" in training:
        sizes["the batch of a step"] = training["batch"]
    scaled = [with_rate(factor, "") for factor in FACTORS]
    for what, size in sizes.items():
        if float(size) not in (1.0, *FACTORS):
            scaled += [with_rate(size, f", by {what}"), with_rate(1 / size, f", by {what}")]
    return [each for each in (*named(), *scaled) if each.possible(problem)]


def named() -> list[type[TrainingFault]]:
    """Return the faults that have a name of their own, in the order of this file."""
    every = [each for each in globals().values() if isinstance(each, type) and issubclass(each, TrainingFault)]
    return [each for each in every if each is not TrainingFault and not each.__name__.startswith("_")]


def catalogue() -> dict[str, str]:
    """Return the explanation of each fault, by name."""
    by_name = {each.fault(): each.explanation() for each in named()}
    return by_name | {"rate-times-factor": "The learning rate is a factor times what it should be."}
