"""The rules of a training loop: limit the gradient, update the weights, change the learning rate.

One object serves one loop. Every decision is a method of its own, so a loop that differs in one decision is a subclass
that overrides one method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numpy import ndarray

from harness.case.fields import Training
from harness.problem import Problem
from harness.problem.reference import forward, layer_of
from reference_impls import optimisers
from reference_impls.layer import states_of

Tensors = Mapping[str, ndarray]


class Rules:
    """The rules of a case's training, which ``harness.case.fields.Training`` defines.

    Args:
        training: The training of the case.
    """

    def __init__(self, training: Training) -> None:
        self.training = training
        self.moments: optimisers.Moments | None = None

    def first_rate(self) -> float:
        """Return the learning rate of the first step."""
        return float(next(iter(self.training["optimizer"].values()))["lr"])  # type: ignore[index]

    def next_rate(self, lr: float, of_passes: Sequence[float]) -> float:
        """Return the next learning rate, given the present one and the losses of the completed passes."""
        rises = len(of_passes) > 1 and of_passes[-1] > of_passes[-2]
        return lr / 2 if rises and self.training.get("halve_lr_when_loss_rises") else lr

    def limited(self, gradients: Tensors) -> Tensors:
        """Return the gradients of the trained weights by name, limited by value and then by norm."""
        if (limit := self.training.get("clip_value")) is not None:
            gradients = optimisers.clipped_by_value(gradients, limit)
        if (limit := self.training.get("clip_norm")) is not None:
            gradients = optimisers.clipped_by_norm(gradients, limit)
        return gradients

    def updated(self, weights: Tensors, gradients: Tensors, lr: float) -> Tensors:
        """Return the trained weights by name after one update."""
        if "sgd" in self.training["optimizer"]:
            return optimisers.sgd(weights, gradients, lr)
        moments = optimisers.no_moments(weights) if self.moments is None else self.moments
        moved, self.moments = optimisers.adam(weights, gradients, moments, lr)
        return moved

    def next_state(self, problem: Problem) -> Tensors:
        """Return the initial states of the next step, (b, H) each, from the problem of the step before.

        Implementations do not return their last state. The reference's forward pass computes it, with the weights that
        the implementation trained.
        """
        names = states_of(layer_of(problem.structure))
        return {
            f"layer{n}.{name}": state
            for n, cache in enumerate(forward(problem).caches)
            for name, state in zip(names, cache.last, strict=True)
        }
