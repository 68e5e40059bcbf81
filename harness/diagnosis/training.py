"""The diagnosis of a wrong training with right gradients: its first difference from the right one, and the fault.

Each fault is committed on the reference's training, first for as many steps as the judgement needs, then for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy import ndarray

from harness.case.training import LOSS_CURVE
from harness.diagnosis.evidence import SLACK
from harness.diagnosis.explanation import UNEXPLAINED, Diagnosis
from harness.diagnosis.training_faults import TrainingFault, faults_of
from harness.precision.tolerance import bound, largest_magnitude, noise_for
from harness.problem import Problem
from harness.problem.reference import solve
from harness.result import Result
from harness.training import Rules, Trained, train

BEYOND = 3
"""Steps after the first wrong one by which a fault is judged before it is committed on all."""

MOST_WORK = 4e9
"""Maximum multiplications of all faults together, a few seconds; beyond it, only the first wrong step is reported."""

CLOSE = 2.0**12
"""Maximum relative error of the norm of a right gradient, in units of eps."""


def diagnose_training(result: Result, problem: Problem, noise: Mapping[str, float]) -> list[Diagnosis]:
    """Explain what is wrong with a training.

    Args:
        result: the result of an implementation for the problem; its gradients are right.
        problem: in the split layout.
        noise: the change by rounding alone of each tensor, absolute.

    Returns:
        The explanations, the best first; if none fits, one with the first wrong step; nothing if there was no training,
        or nothing is wrong.
    """
    if problem.case.training == "none":
        return []
    right = train(problem, _exactly)
    truth = right.tensors
    actual = {name: each for name, each in result.training.items() if name in truth and each.shape == truth[name].shape}
    allowed = {name: _allowed(name, truth[name], noise) for name in actual}
    residuals = {name: _residual(each, truth[name]) for name, each in actual.items()}
    off = {name: residuals[name] for name, each in actual.items() if not _near(each, truth[name], allowed[name])}
    if not off:
        return []
    start = _start(result, right, allowed)
    told = [
        Diagnosis(fault.fault(), fault.explanation(), {name: fitting[name] for name in off}, start)
        for fault in _candidates(problem)
        if (fitting := _fit(fault, problem, actual, truth, allowed)) is not None
    ]
    return told or [Diagnosis(UNEXPLAINED, f"unexplained; {start}", off, start)]


def _exactly(problem: Problem) -> tuple[ndarray, Mapping[str, ndarray]]:
    found = solve(problem)
    return found["loss"], found


def _candidates(problem: Problem) -> list[type[TrainingFault]]:
    faults, training = faults_of(problem), problem.case.training
    assert training != "none"
    work = problem.multiplications * training["steps"] * len(faults)
    return faults if work <= MOST_WORK else []


def _fit(
    fault: type[TrainingFault],
    problem: Problem,
    actual: Mapping[str, ndarray],
    truth: Mapping[str, ndarray],
    allowed: Mapping[str, ndarray],
) -> dict[str, float] | None:
    """Return the residual of each tensor with a fault; None if it does not explain them."""
    faulty, curve = fault.read(problem), actual.get(LOSS_CURVE)
    if curve is not None:
        wrong = ~_close(curve, truth[LOSS_CURVE], allowed[LOSS_CURVE])
        steps = min(len(curve), int(np.argmax(wrong)) + 1 + BEYOND if wrong.any() else len(curve))
        first = _with_fault(fault, _shorter(faulty, steps)).losses
        if not _near(curve[:steps], first, SLACK * allowed[LOSS_CURVE][:steps]):
            return None
    predicted = _with_fault(fault, faulty).tensors
    if all(_near(each, predicted[name], _grown(name, allowed, predicted, truth)) for name, each in actual.items()):
        return {name: _residual(each, predicted[name]) for name, each in actual.items()}
    return None


def _with_fault(fault: type[TrainingFault], problem: Problem) -> Trained:
    training = problem.case.training
    assert training != "none"
    rules: Rules = fault(training)
    return train(problem, _exactly, rules)


def _shorter(problem: Problem, steps: int) -> Problem:
    training = problem.case.training
    assert training != "none"
    return replace(problem, case=replace(problem.case, training={**training, "steps": steps}))


def _allowed(name: str, truth: ndarray, noise: Mapping[str, float]) -> ndarray:
    found = bound(name, truth, noise=noise_for(name, truth.shape, noise))
    return np.broadcast_to(found.atol if found.by_element is None else found.by_element, truth.shape)


def _grown(
    name: str, allowed: Mapping[str, ndarray], predicted: Mapping[str, ndarray], truth: Mapping[str, ndarray]
) -> ndarray:
    """Return the allowed error of a faulty training, which may grow larger than the right one."""
    growth = largest_magnitude(predicted[name]) / (largest_magnitude(truth[name]) or 1.0)
    return SLACK * max(1.0, growth) * allowed[name]


def _close(one: ndarray, other: ndarray, allowed: ndarray) -> ndarray:
    with np.errstate(all="ignore"):
        difference = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return (difference <= allowed) | (one == other) | (np.isnan(one) & np.isnan(other))


def _near(one: ndarray, other: ndarray, allowed: ndarray) -> bool:
    return bool(_close(one, other, allowed).all())


def _residual(one: ndarray, other: ndarray) -> float:
    """Return the largest |one − other|, relative to the largest element of either."""
    with np.errstate(all="ignore"):
        difference = np.where(_close(one, other, np.zeros(one.shape)), 0.0, np.abs(one.astype(np.float64) - other))
    scale = max(largest_magnitude(one), largest_magnitude(other)) or 1.0
    largest = float(difference.max(initial=0.0)) / scale
    return largest if np.isfinite(largest) else float("inf")


def _start(result: Result, right: Trained, allowed: Mapping[str, ndarray]) -> str:
    """Return the step at which the training first goes wrong, and whether the gradients before it were right."""
    curve = result.training.get(LOSS_CURVE)
    if curve is None or curve.shape != right.losses.shape:
        return "no loss curve was returned, which would show the first wrong step"
    wrong = ~_close(curve, right.losses, allowed[LOSS_CURVE])
    S = len(curve)
    s = int(np.argmax(wrong)) if wrong.any() else S
    if s == 0:
        return "the training first goes wrong at the loss of step 0 (counted from 0), before any update"
    where = f"at the loss of step {s} (counted from 0)" if s < S else f"after the last update, of step {S - 1}"
    norms = result.per_step.get("gradient_norm")
    of_gradient = ""
    if norms is not None and norms.shape == right.norms.shape:
        with np.errstate(all="ignore"):
            apart = np.abs(norms - right.norms) > CLOSE * float(np.finfo(right.losses.dtype).eps) * right.norms
        t = int(np.argmax(apart)) if apart.any() else S
        of_gradient = (
            f"; the norm of the gradient of step {s - 1} was right, so the update after it was not"
            if t >= s
            else f"; the norm of the gradient is wrong at step {t} already"
        )
    return f"the training first goes wrong {where}{of_gradient}"
