"""The training loop, on canonical tensors, with anybody's gradients."""

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
"""Maps the problem of one step, in the split layout, to its loss and to a gradient for each trained weight by name."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What became of a training.

    Attributes:
        losses: (steps,), of each step, under the weights before its update.
        rates: (steps,), the learning rate of each update.
        norms: (steps,), of the gradient of all trained weights together, before it is limited.
        weights: by name, after the last update, in the split layout.
    """

    losses: ndarray
    rates: ndarray
    norms: ndarray
    weights: Mapping[str, ndarray]

    @property
    def tensors(self) -> dict[str, ndarray]:
        """What is compared: the loss curve, and the weights after the last update."""
        return {LOSS_CURVE: self.losses, **{f"{TRAINED}{name}": each for name, each in self.weights.items()}}

    @property
    def per_step(self) -> dict[str, ndarray]:
        """What is told of each step beside its loss, (steps,) each."""
        return {"lr": self.rates, "gradient_norm": self.norms}


class StepFailed(Exception):
    """A step of training raised something.

    Attributes:
        step: which one, counted from 0.
        error: what it raised.
    """

    def __init__(self, step: int, error: BaseException) -> None:
        super().__init__(f"step {step} of training")
        self.step = step
        self.error = error


def train(problem: Problem, loss_and_gradients: LossAndGradients, rules: Rules | None = None) -> Trained:
    """Train the weights of a problem as its case says.

    Args:
        problem: in the split layout, of a case with training.
        loss_and_gradients: of one step.
        rules: what is done with a gradient; as the case says unless given.

    Returns:
        What became of it, in the dtype of the case.

    Raises:
        StepFailed: if ``loss_and_gradients`` raises anything.
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
