"""Run an implementation on a problem: its gradients, and its training if the case has one."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace

from numpy import ndarray

from harness import result
from harness.implementations import Implementation, Unsupported
from harness.problem import Batches, Problem
from harness.result import Result

MOST_WORK = 2e9
"""Maximum multiplications of a whole training, for implementations that take far more of them than the reference."""


class TrainingFailed(Exception):
    """An implementation returned gradients, but raised an exception in its training.

    Attributes:
        result: The result without training.
        step: The step of the training, counted from 0.
        error: The exception.
    """

    def __init__(self, answered: Result, step: int, error: BaseException) -> None:
        super().__init__(f"step {step} of training, counted from 0")
        self.result = answered
        self.step = step
        self.error = error


def run(implementation: Implementation, problem: Problem) -> Result:
    """Run an implementation on a problem, in this process, and train with its gradients if the case has a training.

    Args:
        implementation: The implementation.
        problem: The problem, in the split layout.

    Raises:
        Unsupported: If it cannot represent the problem.
        TrainingFailed: If it raises an exception in a step of the training.
        Exception: Any exception that it raises before that.
    """
    return with_training(implementation, problem, result.run(implementation, problem))


def with_training(implementation: Implementation, problem: Problem, answered: Result) -> Result:
    """Return a result with that of training by the implementation's gradients, or with the reason why it has none.

    Args:
        implementation: The implementation.
        problem: The problem, in the split layout.
        answered: Its result on the problem, without training.

    Raises:
        TrainingFailed: If it raises an exception in a step of the training.
    """
    if problem.case.training == "none" or answered.training:
        return answered
    if reason := _reason_against(implementation, problem, answered):
        return replace(answered, untrained=reason)
    from harness.training.loop import StepFailed, train

    def loss_and_gradients(of_step: Problem) -> tuple[ndarray, Mapping[str, ndarray]]:
        found = result.run(implementation, of_step)
        if reason := _incomplete(problem, found):
            raise Unsupported(reason)
        assert found.loss is not None
        return found.loss, found.gradients

    start = time.perf_counter()
    try:
        trained = train(problem, loss_and_gradients)
    except StepFailed as failed:
        if isinstance(failed.error, Unsupported):
            return replace(answered, untrained=f"step {failed.step} of training: {failed.error}")
        raise TrainingFailed(answered, failed.step, failed.error) from failed.error
    seconds = answered.seconds + time.perf_counter() - start
    return replace(answered, training=trained.tensors, per_step=trained.per_step, seconds=seconds)


def _reason_against(implementation: Implementation, problem: Problem, answered: Result) -> str:
    training = problem.case.training
    assert training != "none"
    if implementation.work is not None:
        of_step = Batches(problem).of_step(0, problem.weights)
        work = training["steps"] * implementation.work(of_step)
        if work > MOST_WORK:
            much = f"{work:.1e} multiplications; at most {MOST_WORK:.0e}" if work < math.inf else "too long"
            return f"its training would take {much}"
    return _incomplete(problem, answered)


def _incomplete(problem: Problem, answered: Result) -> str:
    """Return the reason why a result does not suffice for training; empty if it does."""
    training = problem.case.training
    frozen = () if training == "none" else training.get("frozen", ())
    if answered.loss is None or answered.loss.shape != ():
        return "there is no training without a loss"
    for name, shape in problem.structure.weights.items():
        gradient = answered.gradients.get(name)
        if name not in frozen and (gradient is None or gradient.shape != shape or name in answered.known):
            return f"there is no training without the whole gradient of {name}"
    return ""
