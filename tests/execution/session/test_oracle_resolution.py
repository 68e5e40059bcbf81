"""A gradient that is too small for the oracle's step: the oracle reports its resolution, and takes no side."""

from dataclasses import replace

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.execution.session import Judgement, Standard, compare_for
from harness.execution.session.oracle import side
from harness.implementations import Promise, implementations
from harness.implementations.complex_step import RESOLUTION, UNDERFLOW
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.result import run

NUMBERS = {"normal": 1.0, "seed": 3}


def problem_of(upstream, dtype="float64", **fields):
    case = ValidCase(
        name="small",
        file="small",
        dtype=dtype,
        sizes=Sizes(2, 3, 4, 5),
        weights={"uniform": (-0.9, 0.9), "seed": 1},
        inputs=NUMBERS,
        initial_state=NUMBERS,
        loss=Loss("dot"),
        upstream={"normal": upstream, "seed": 2},
        **fields,
    )
    return build(case, None)


def answers(problem):
    return (run(implementations()[name], problem) for name in ("numpy-split", "complex-step"))


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("upstream", [1e-205, 1e-230, 1e-310])
def test_a_right_baseline_is_not_called_wrong(upstream, cell):
    problem = problem_of(upstream, cell=cell)
    right, oracle = answers(problem)
    comparison = compare_for(problem, oracle, right, rounding_noise(problem), Promise(complete=True))
    assert comparison.matches, str(comparison)
    of_gradients = {each.tensor: each for each in comparison.tensors if each.tensor in problem.structure.gradients}
    assert of_gradients.keys() == problem.structure.gradients.keys()
    for each in of_gradients.values():
        assert each.bound.atol >= RESOLUTION
        assert each.bound.origin.startswith("half a unit in the last known digit")


def test_a_gradient_that_is_large_enough_is_known_to_the_last_digit():
    _, oracle = answers(problem_of(1e-150))
    assert oracle.half_units == {}
    _, oracle = answers(problem_of(1e-30, "float32"))
    assert oracle.half_units == {}


def test_the_loss_and_the_outputs_need_no_step():
    _, oracle = answers(problem_of(1e-310))
    assert oracle.half_units.keys() == problem_of(1.0).structure.gradients.keys()


def test_what_is_wrong_by_more_than_it_resolves_is_found():
    problem = problem_of(1e-205)
    right, oracle = answers(problem)
    wrong = replace(right, gradients={name: 2 * each for name, each in right.gradients.items()})
    assert max(np.abs(each).max() for each in right.gradients.values()) < UNDERFLOW
    assert not compare_for(problem, oracle, wrong, rounding_noise(problem), Promise(complete=True)).matches


def told(problem, wrong):
    right, oracle = answers(problem)
    noise = rounding_noise(problem)
    comparison = compare_for(problem, wrong, right, noise, Promise(complete=True))
    assert not comparison.matches
    results = {"numpy-split": right, "wrong": wrong, "complex-step": oracle}
    judged = Judgement("wrong", "ok", "mismatch", comparison=comparison)
    standard = Standard.measured(problem, right, noise, None)
    return side(judged, "complex-step", "numpy-split", results, standard)


def test_it_takes_no_side_where_it_cannot_tell():
    for upstream, said in ((1e-310, "complex-step agrees with both"), (1e-205, "complex-step agrees with numpy-split")):
        problem = problem_of(upstream)
        right = run(implementations()["numpy-split"], problem)
        zero = replace(right, gradients={name: np.zeros_like(each) for name, each in right.gradients.items()})
        assert told(problem, zero) == said
