"""The tolerances of training: no right training fails, no wrong one passes, whatever the problem."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from harness.case.training import LOSS_CURVE, of_step
from harness.diagnosis.training_faults import faults_of, named, with_rate
from harness.execution.session import compare_for
from harness.implementations import Promise, implementations
from harness.precision.tolerance import bound, noise_for
from harness.problem import build
from harness.problem.reference import solve
from harness.result import Result
from harness.training import noise_of, run, train

from .conftest import random_case

PROBLEMS, WITH_FAULTS = 100, 30
TELLING = 1000
"""Units of eps of a tensor's largest element. A fault that changes some tensor by more is to be caught."""


def exactly(problem):
    found = solve(problem)
    return found["loss"], found


def compared(problem, tensors, expected, noise):
    beside = Result(None, None, {}, 0.0, training=expected)
    return compare_for(problem, tensors, beside, noise, Promise(complete=True))


def wider(problem):
    """The training in wider numbers, rounded to the case's in the end."""
    dtype = np.float64 if problem.case.dtype == "float32" else np.longdouble
    wide = replace(problem, case=replace(problem.case, dtype=np.dtype(dtype).name)).as_dtype(dtype)
    return {name: each.astype(problem.case.dtype) for name, each in train(wide, exactly).tensors.items()}


def tells(wrong, right):
    difference = np.abs(wrong.astype(np.float64) - right)
    return difference.max() > TELLING * np.finfo(right.dtype).eps * np.abs(right).max()


def test_right_trainings_match():
    random, there = np.random.default_rng(1), implementations()
    for number in range(PROBLEMS):
        problem = build(random_case(random, number), None)
        noise, expected = noise_of(problem), run(there["numpy-split"], problem).training
        for right in (run(there["numpy-concat"], problem).training, wider(problem)):
            comparison = compared(problem, right, expected, noise)
            assert comparison.matches, f"{problem.case}: {comparison}"


def test_wrong_trainings_do_not():
    random, there = np.random.default_rng(2), implementations()
    caught = Counter()
    for number in range(WITH_FAULTS):
        problem = build(random_case(random, number), None)
        noise, expected = noise_of(problem), run(there["numpy-split"], problem).training
        slightly = with_rate(1.0001, "")
        for fault in [*faults_of(problem), slightly]:
            read = fault.read(problem)
            wrong = train(read, exactly, fault(read.case.training)).tensors
            if not any(tells(each, expected[name]) for name, each in wrong.items()):
                continue  # nothing was clipped, no loss rose, or all is lost in rounding
            matches = compared(problem, wrong, expected, noise).matches
            assert not matches, (fault.__doc__, problem.case)
            caught["a rate off by 1e-4" if fault is slightly else fault.fault()] += 1
    assert caught.keys() >= {fault.fault() for fault in named()}, caught
    assert caught["a rate off by 1e-4"] >= WITH_FAULTS / 3, caught


def test_the_first_steps_are_held_to_less_than_the_last(problem_of):
    problem = problem_of({"steps": 30, "optimizer": {"sgd": {"lr": 0.3}}})
    noise = noise_of(problem)
    curve = run(implementations()["numpy-split"], problem).training[LOSS_CURVE]
    found = bound(LOSS_CURVE, curve, noise=noise_for(LOSS_CURVE, curve.shape, noise))
    assert found.by_element.shape == curve.shape
    assert found.atol == found.by_element.max() == found.by_element[-1]
    assert (np.diff(found.by_element) >= 0).all()
    assert found.by_element[0] == 16 * max(noise[of_step(0)], np.finfo(float).eps * curve[0])
    assert found.by_element[-1] > 10 * found.by_element[0]
    early = curve.copy()
    early[1] += found.atol / 2  # what the last step may be off by
    off = compared(problem, {LOSS_CURVE: early}, {LOSS_CURVE: curve}, noise)
    assert [(each.tensor, each.failed, each.worst_index) for each in off.disagreements] == [(LOSS_CURVE, 1, (1,))]


def test_weights_that_hardly_move_are_rounded_at_every_step(problem_of):
    problem = problem_of({"steps": 40, "optimizer": {"sgd": {"lr": 1e-9}}})
    noise = noise_of(problem)
    for name, weight in problem.weights.items():
        assert 2 < noise[f"trained.{name}"] / (np.finfo(float).eps * np.abs(weight).max()) < 40


def test_a_tolerance_that_the_case_gives_is_applied_as_given(problem_of):
    problem = problem_of({}, tolerance={LOSS_CURVE: {"atol": 0.5}, "default": {"rtol": 1e-9}})
    expected = run(implementations()["numpy-split"], problem).training
    wrong = {**expected, LOSS_CURVE: expected[LOSS_CURVE] + 0.4}
    comparison = compared(problem, wrong, expected, noise_of(problem))
    assert comparison.matches
    assert {each.bound.atol for each in comparison.tensors} == {0.5, 0.0}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_rate_that_rounding_decides_on_makes_the_training_ill_conditioned(problem_of, dtype):
    """At a rate of next to nothing the loss neither falls nor rises: whether the rate is halved, rounding decides."""
    problem = problem_of(
        {"steps": 8, "optimizer": {"sgd": {"lr": 1e-30}}, "halve_lr_when_loss_rises": True}, dtype=dtype
    )
    comparison = compared(
        problem, *(run(implementations()["numpy-split"], problem).training for _ in range(2)), noise_of(problem)
    )
    assert comparison.matches
