"""A diagnosis names the fault of a wrong training, and shows the step at which it departs from the right one."""

from dataclasses import replace

import numpy as np
import pytest

import harness
from harness.diagnosis import UNEXPLAINED, diagnose_training
from harness.diagnosis.training_faults import catalogue, faults_of, named, with_rate
from harness.problem.reference import solve
from harness.result import Result
from harness.training import noise_of, train

SGD, ADAM = {"sgd": {"lr": 0.1}}, {"adam": {"lr": 0.1}}
LIMITS = {"clip_value": 0.4, "clip_norm": 0.9}
TRAININGS = {
    "sgd": {"optimizer": SGD},
    "adam": {"optimizer": ADAM},
    "clipped": {"optimizer": {"sgd": {"lr": 0.8}}, **LIMITS},
    "clipped adam": {"optimizer": ADAM, **LIMITS},
    "rising": {"optimizer": {"sgd": {"lr": 0.9}}, "halve_lr_when_loss_rises": True, "steps": 9},
    "stateful": {"optimizer": SGD, "batch": 1, "carry_state": True},
    "frozen": {"optimizer": SGD, "frozen": ["readout.b_y"]},
}


def exactly(problem):
    found = solve(problem)
    return found["loss"], found


def result_of(problem, trained):
    found = solve(problem)
    gradients = {name: each for name, each in found.items() if name not in ("loss", "outputs")}
    return Result(found["loss"], found["outputs"], gradients, 0.0, training=trained.tensors, per_step=trained.per_step)


@pytest.mark.parametrize("name", TRAININGS)
def test_each_fault_is_named(problem_of, name):
    """Each that changes the training; where two faults look the same, both are named."""
    problem = problem_of(TRAININGS[name])
    noise, right = noise_of(problem), train(problem, exactly)
    found = set()
    for fault in faults_of(problem):
        read = fault.read(problem)
        wrong = train(read, exactly, fault(read.case.training))
        if np.allclose(wrong.losses, right.losses, rtol=1e-12, atol=0):
            continue
        told = diagnose_training(result_of(problem, wrong), problem, noise)
        assert fault.explanation() in [each.explanation for each in told], (fault.__doc__, told)
        assert all(each.residual < 1e-9 for each in told)
        found.add(fault.fault())
    assert {"learning-rate-never-used", "ascends", "rate-times-factor"} <= found


def test_between_them_these_trainings_can_have_every_fault(problem_of):
    possible = {fault.fault() for training in TRAININGS.values() for fault in faults_of(problem_of(training))}
    assert possible >= {fault.fault() for fault in named()}
    assert possible == catalogue().keys()


@pytest.mark.parametrize("name", TRAININGS)
def test_a_right_training_has_no_diagnosis(problem_of, name):
    problem = problem_of(TRAININGS[name])
    assert diagnose_training(result_of(problem, train(problem, exactly)), problem, noise_of(problem)) == []


def test_a_case_without_training_has_no_diagnosis_of_it(problem_of):
    problem = problem_of({})
    found = result_of(problem, train(problem, exactly))
    without = replace(problem, case=replace(problem.case, training="none"))
    assert diagnose_training(found, without, {}) == []


def unexplained(problem, change):
    trained = train(problem, exactly)
    tensors, per_step = dict(trained.tensors), dict(trained.per_step)
    change(tensors, per_step)
    result = replace(result_of(problem, trained), training=tensors, per_step=per_step)
    (told,) = diagnose_training(result, problem, noise_of(problem))
    assert told.fault == UNEXPLAINED
    return told


def test_where_no_fault_fits_the_first_step_that_is_off_is_told(problem_of):
    def change(tensors, per_step):
        tensors["training.loss"] = tensors["training.loss"] + np.array([0, 0, 0, 0.3, 0.1, 0.2])

    told = unexplained(problem_of({}), change)
    assert "first goes wrong at the loss of step 3 (counted from 0)" in told.start
    assert "the norm of the gradient of step 2 was right, so the update after it was not" in told.start
    assert told.tensors == ("training.loss",)


def test_whether_the_gradient_was_right_is_told_by_its_norm(problem_of):
    def change(tensors, per_step):
        tensors["training.loss"] = tensors["training.loss"] * np.array([1, 1, 1, 1.3, 1.1, 1.2])
        per_step["gradient_norm"] = per_step["gradient_norm"] * np.array([1, 1, 1.01, 1, 1, 1])

    assert "the norm of the gradient is wrong at step 2 already" in unexplained(problem_of({}), change).start


def test_a_loss_that_is_off_before_any_update_is_no_fault_of_the_optimiser(problem_of):
    def change(tensors, per_step):
        tensors["training.loss"] = tensors["training.loss"] + 1

    assert "at the loss of step 0 (counted from 0), before any update" in unexplained(problem_of({}), change).start


def test_weights_that_are_off_after_the_last_update_alone(problem_of):
    def change(tensors, per_step):
        tensors["trained.layer0.W_hh"] = tensors["trained.layer0.W_hh"] + 0.1

    assert "first goes wrong after the last update, of step 5" in unexplained(problem_of({}), change).start


def test_without_a_loss_curve_the_weights_tell(problem_of):
    problem = problem_of({"optimizer": ADAM})
    noise = noise_of(problem)
    for fault in (each for each in named() if each.__name__ in ("AdamUncorrected", "Ascends", "BiasMovesTwice")):
        trained = train(problem, exactly, fault(problem.case.training))
        weights = {name: each for name, each in trained.tensors.items() if name != "training.loss"}
        (told,) = diagnose_training(replace(result_of(problem, trained), training=weights), problem, noise)
        assert told.fault == fault.fault()
        assert "no loss curve was returned" in told.start


def test_a_factor_is_told_with_its_number_and_the_size_that_it_is(problem_of):
    problem = problem_of({})
    for factor, words in (
        (10.0, "is 10 times what it should be."),
        (0.25, "is 0.25 times what it should be, by"),
    ):
        fault = with_rate(factor, "")
        trained = train(problem, exactly, fault(problem.case.training))
        (told,) = diagnose_training(result_of(problem, trained), problem, noise_of(problem))
        assert words in told.explanation


def test_from_python_too(problem_of):
    problem = problem_of({})
    right = train(problem, exactly)
    assert harness.diagnose(right.tensors, problem) == []
    (told,) = harness.diagnose({**right.tensors, "training.loss": right.losses[[0] * 6]}, problem)
    assert told.fault == UNEXPLAINED
    (wrong,) = [each for each in named() if each.__name__ == "WeightsNeverUpdated"]
    never = train(problem, exactly, wrong(problem.case.training)).tensors
    (told,) = harness.diagnose({name: each.tolist() for name, each in never.items()}, problem)
    assert told.fault == "weights-never-updated"
