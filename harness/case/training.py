"""The training of a case: the tensors that are compared, and checks of its fields against the others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.casefile import nearest
from harness.tensors import Shape

if TYPE_CHECKING:
    from harness.case.arrays import Problem
    from harness.case.fields import Fields

MOST_STEPS = 1_000_000
"""Maximum number of steps of a training; each is a row of a table."""

TRAINING = "training."
"""The beginning of the names of the numbers of each step."""

LOSS_CURVE = f"{TRAINING}loss"
"""The loss of each step, (steps,), before the step's update."""

TRAINED = "trained."
"""The beginning of the names of the weights after the last step: ``trained.layer0.W_xh``."""


def is_of_training(tensor: str) -> bool:
    """Return whether a tensor is a result of training."""
    return tensor == LOSS_CURVE or tensor.startswith(TRAINED)


def of_step(step: int) -> str:
    """Return the name of the rounding noise of one step of the loss curve."""
    return f"{LOSS_CURVE}[{step}]"


def tensors(case: Fields) -> dict[str, Shape]:
    """Return the shape of every tensor of a case's training that is compared; none if it has no training."""
    if case.training == "none":
        return {}
    return {
        LOSS_CURVE: (case.training["steps"],),
        **{f"{TRAINED}{name}": shape for name, shape in case.structure.weights.items()},
    }


def _empty_batches(case: Fields, batch: int, lengths: tuple[int, ...]) -> Iterator[Problem]:
    """Find the first batch in which no sequence has a step with a loss: its mean loss does not exist."""
    for first in range(0, len(lengths), batch):
        longest = max(lengths[first : first + batch])
        if longest <= min(case.steps):
            problem = f"the sequences {first} to {first + batch - 1} have no step that the loss covers, so no mean loss"
            yield ("training", "batch"), problem, "use reduction: sum, or larger batches"
            return


def problems(case: Fields) -> Iterator[Problem]:
    """Find the mistakes in the training of a case: a batch that does not fit, weights that do not exist."""
    if case.training == "none":
        return
    if case.training["steps"] > MOST_STEPS:
        yield ("training", "steps"), f"{case.training['steps']:,} steps; at most {MOST_STEPS:,} can be run", ""
    B, batch = case.sizes.batch, case.training.get("batch", case.sizes.batch)
    if B % batch:
        small = [n for n in range(1, math.isqrt(B) + 1) if B % n == 0]
        divisors = [str(n) for n in sorted({*small, *(B // n for n in small)})]
        problem = f"a batch of {batch} should divide sizes.batch, which is {B}"
        yield ("training", "batch"), problem, f"use {', '.join(divisors[:12])}"
    elif case.lengths is not None and len(case.lengths) == B and case.loss.reduction == "mean":
        yield from _empty_batches(case, batch, case.lengths)
    if case.training.get("carry_state") and (case.bidirectional or case.lengths is not None):
        what = "of a bidirectional network" if case.bidirectional else "with lengths"
        problem = (
            f"a training {what} cannot carry its states: the last step of one batch is not before the next one's first"
        )
        yield (
            ("training", "carry_state"),
            problem,
            f"remove it, or {'bidirectional' if case.bidirectional else 'lengths'}",
        )
    weights, frozen = case.structure.weights, case.training.get("frozen", [])
    for i, name in enumerate(frozen):
        if name not in weights:
            yield ("training", "frozen", i), f"no weight is named {name!r} here", nearest(name, weights)
        elif name in frozen[:i]:
            yield ("training", "frozen", i), f"{name} is already in this list", ""
    if set(frozen) >= weights.keys():
        yield ("training", "frozen"), "every weight is frozen, so nothing is trained", ""
