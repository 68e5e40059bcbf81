"""The training loop on canonical tensors, with the gradients of any implementation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from harness.case.training import LOSS_CURVE, TRAINED
from harness.problem import Batches, Problem
from harness.training.rules import Rules
from reference_impls.optimisers import global_norm

LossAndGradients = Callable[[Problem], tuple[ndarray, Mapping[str, ndarray]]]
"""A function from the problem of one step, in the split layout, to its loss and the trained weights' gradients."""


@dataclass(frozen=True, eq=False)
class Trained:
    """The results of a training.

    Attributes:
        losses: The loss of each step, (steps,), under the weights before its update.
        rates: The learning rate of each update, (steps,).
        norms: The norm of the gradient of all trained weights together, before it is limited, (steps,).
        weights: The weights after the last update by name, in the split layout.
    """

    losses: ndarray
    rates: ndarray
    norms: ndarray
    weights: Mapping[str, ndarray]

    @property
    def tensors(self) -> dict[str, ndarray]:
        """The tensors that are compared: the loss curve, and the weights after the last update."""
        return {LOSS_CURVE: self.losses, **{f"{TRAINED}{name}": each for name, each in self.weights.items()}}

    @property
    def per_step(self) -> dict[str, ndarray]:
        """The numbers that are reported for each step but not compared, (steps,) each."""
        return {"lr": self.rates, "gradient_norm": self.norms}


class StepFailed(Exception):
    """An exception was raised in a step of training.

    Attributes:
        step: The step, counted from 0.
        error: The exception.
    """

    def __init__(self, step: int, error: BaseException) -> None:
        super().__init__(f"step {step} of training")
        self.step = step
        self.error = error


def train(problem: Problem, loss_and_gradients: LossAndGradients, rules: Rules | None = None) -> Trained:
    """Train the weights of a problem by the rules of its case.

    Args:
        problem: The problem of a case with training, in the split layout.
        loss_and_gradients: The function that is called once in each step.
        rules: The rules of the updates; those of the case if None.

    Returns:
        The results, in the dtype of the case.

    Raises:
        StepFailed: If ``loss_and_gradients`` raises an exception.
    """
    training, dtype = problem.case.training, problem.case.dtype
    assert training != "none"
    rules = rules or Rules(training)
    S, frozen = training["steps"], training.get("frozen", ())
    batches = Batches(problem)
    weights, state, lr = dict(problem.weights), None, rules.first_rate()
    trained = [name for name in weights if name not in frozen]
    losses, rates, norms = np.zeros(S, dtype), np.zeros(S), np.zeros(S)
    of_passes: list[float] = []
    with np.errstate(all="ignore"):  # what overflows is judged where it is compared
        for s in range(S):
            of_step = batches.of_step(s, weights, state)
            try:
                losses[s], found = loss_and_gradients(of_step)
            except (Exception, SystemExit) as error:
                raise StepFailed(s, error) from error
            gradients = {name: found[name].astype(dtype, copy=False) for name in trained}
            if batches.ends_a_pass(s):
                of_passes.append(sum(losses[s + 1 - batches.steps_in_a_pass : s + 1].tolist()))
                lr = rules.next_rate(lr, of_passes)
            rates[s], norms[s] = lr, global_norm(gradients)
            if training.get("carry_state"):
                state = rules.next_state(of_step)
            moved = rules.updated({name: weights[name] for name in trained}, rules.limited(gradients), lr)
            weights = {**weights, **moved}
    return Trained(losses, rates, norms, weights)
