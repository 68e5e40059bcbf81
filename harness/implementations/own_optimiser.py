"""The training loop of the implementations that train with their framework's own optimiser.

It is written anew: ``harness.training`` is what it is compared with. Of the framework are the network, its parameters,
its gradients and its carried states, the clipping, and the optimiser.
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
        """Run a step's sequences, and return their loss; keep the gradients, and the states that the run ended with.

        With ``carry_state``, the run starts from the states that the one before ended with.
        """

    def update(self, lr: float) -> float:
        """Clip the gradients and have the optimiser move the weights; return the norm of the gradients before that."""


def train(problem: Problem, network: TrainableNetwork) -> dict[str, ndarray]:
    """Train a network as the case of a problem says.

    Args:
        problem: in any layout; the network has its weights.
        network: which is trained.

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
        Unsupported: if it has none, is bidirectional, or has lengths, which these networks do not compute.
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
    """Return what gradients are multiplied with, by weight in the problem's layout: ones, zeros where it is frozen."""
    frozen, shapes = loop_of(problem).get("frozen", ()), problem.structure.weights
    masks = {name: np.full(shape, float(name not in frozen), problem.case.dtype) for name, shape in shapes.items()}
    return layouts()[problem.layout].gradients_from_canonical(masks, problem.structure)
