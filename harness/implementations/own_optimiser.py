"""The training loop of the implementations that train with their framework's own optimiser.

It is written anew, since it is compared with ``harness.training``. The framework provides the network, its parameters,
gradients and carried states, the clipping, and the optimiser.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy import ndarray

from harness.case.fields import Training
from harness.implementations.base import Unsupported, refuse_directions_and_lengths
from harness.layout import layouts
from harness.problem import Batches, Problem


class TrainableNetwork(Protocol):
    """A network of a framework, with its optimiser."""

    def differentiate(self, of_step: Problem) -> float:
        """Run a step's sequences, and return their loss; keep the gradients and the last states.

        With ``carry_state``, the run starts from the last states of the run before.
        """

    def update(self, lr: float) -> float:
        """Clip the gradients and update the weights; return the norm of the gradients before clipping."""


def train(problem: Problem, network: TrainableNetwork) -> dict[str, ndarray]:
    """Train a network by the rules of a problem's case.

    Args:
        problem: The problem, in any layout.
        network: The network to train, with the problem's weights.

    Returns:
        ``training.loss``, ``training.lr`` and ``training.gradient_norm``, (steps,) each.
    """
    training = loop_of(problem)
    batches, halves = Batches(problem), training.get("halve_lr_when_loss_rises", False)
    lr = optimizer_of(training)[1]
    losses, rates, norms = [], [], []
    this_pass, last_pass = 0.0, np.inf
    for s in range(training["steps"]):
        losses.append(network.differentiate(batches.of_step(s, problem.weights)))
        this_pass += losses[-1]
        if batches.ends_a_pass(s):
            if halves and this_pass > last_pass:
                lr = lr / 2
            this_pass, last_pass = 0.0, this_pass
        rates.append(lr)
        norms.append(network.update(lr))
    curve = np.array(losses, problem.case.dtype)  # (steps,)
    return {"training.loss": curve, "training.lr": np.array(rates), "training.gradient_norm": np.array(norms)}


def loop_of(problem: Problem) -> Training:
    """Return the training of a problem.

    Raises:
        Unsupported: If it has none, is bidirectional, or has lengths, which these networks do not support.
    """
    refuse_directions_and_lengths(problem)
    training = problem.case.training
    if training == "none":
        raise Unsupported("it trains with an optimiser of its own, and the case has no training")
    return training


def optimizer_of(training: Training) -> tuple[str, float]:
    """Return the name of the optimizer, and its learning rate."""
    ((name, options),) = training["optimizer"].items()
    return name, float(options["lr"])  # type: ignore[index]


def masks_of(problem: Problem) -> dict[str, ndarray]:
    """Return the factors of the gradients by weight, in the problem's layout: ones, or zeros for frozen weights."""
    frozen, shapes = loop_of(problem).get("frozen", ()), problem.structure.weights
    masks = {name: np.full(shape, float(name not in frozen), problem.case.dtype) for name, shape in shapes.items()}
    return layouts()[problem.layout].gradients_from_canonical(masks, problem.structure)
