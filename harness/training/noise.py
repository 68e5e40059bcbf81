"""The rounding noise of a training's results: the distance that rounding alone moves them.

Training amplifies roundings from step to step: a rounded gradient makes rounded weights, and these another gradient. A
fixed multiple of eps would be far too wide for the first steps and too narrow for the last. So the training itself is
repeated, like one gradient in ``harness.precision.rounding_noise``. The reference trains once as it is, and a few times
with every number of every step rounded once more, including the weights after each update and the carried states.

The noise of the loss curve is measured at each step. It is the largest change up to that step, because roundings of a
step affect all later ones. The noise of a trained weight is the largest change of any of its elements.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy import ndarray

from harness.case.fields import Training
from harness.case.training import LOSS_CURVE, of_step
from harness.precision.rounding_noise import DRAWS, Kept, kept_slopes, rounded_tensors, rounding, rounding_noise
from harness.problem import Problem
from harness.problem.reference import solve
from harness.training.loop import train
from harness.training.rules import Rules, Tensors


def noise_of(problem: Problem) -> dict[str, float]:
    """Measure how far each tensor moves when every number is rounded once more.

    Args:
        problem: in the split layout.

    Returns:
        The noise of each tensor, absolute, as ``rounding_noise`` returns it. A case with training also has that of each
        of its results, and that of each step of the loss curve under the name ``of_step`` gives it.
    """
    noise = rounding_noise(problem)
    if problem.case.training == "none":
        return noise
    kept: list[Kept] = []

    def exactly(of_step: Problem) -> tuple[ndarray, Mapping[str, ndarray]]:
        kept.append(kept_slopes(of_step))
        found = solve(of_step)
        return found["loss"], found

    reference = train(problem, exactly).tensors
    changes = {name: np.zeros(tensor.shape) for name, tensor in reference.items()}
    random = np.random.Generator(np.random.PCG64(1))
    for _ in range(DRAWS):
        slopes = iter(kept)

        def rounded(of_step: Problem, slopes: object = slopes) -> tuple[ndarray, Mapping[str, ndarray]]:
            found = rounded_tensors(of_step, random, next(slopes))  # type: ignore[call-overload]
            return found["loss"], found

        for name, moved in train(problem, rounded, _Rounded(problem.case.training, random)).tensors.items():
            with np.errstate(all="ignore"):  # what is not finite is judged where it is compared
                change = np.abs(moved - reference[name])
            changes[name] = np.maximum(changes[name], np.where(np.isfinite(change), change, 0))
    curve = np.maximum.accumulate(changes[LOSS_CURVE])
    noise |= {of_step(s): float(change) for s, change in enumerate(curve)}
    return noise | {name: float(change.max(initial=0.0)) for name, change in changes.items()}


class _Rounded(Rules):
    """The rules of a training, with every weight and every carried state rounded once more."""

    def __init__(self, training: Training, random: np.random.Generator) -> None:
        super().__init__(training)
        self.random = random

    def updated(self, weights: Tensors, gradients: Tensors, lr: float) -> Tensors:
        return self._each(super().updated(weights, gradients, lr))

    def next_state(self, problem: Problem) -> Tensors:
        return self._each(super().next_state(problem))

    def _each(self, tensors: Tensors) -> dict[str, ndarray]:
        return {name: each + rounding(each, self.random) for name, each in tensors.items()}
