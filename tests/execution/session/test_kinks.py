"""Slopes at the kink of relu: named where they explain a disagreement, and no excuse for anything else."""

from dataclasses import replace

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.execution.session import compare_for
from harness.execution.session.floors import judged
from harness.implementations import Promise, implementations
from harness.precision.error_floor import ErrorFloor, from_intervals
from harness.precision.kinks import at_kink
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build
from harness.result import read, run
from reference_impls import network, rnn_split
from reference_impls.activations import ACTIVATIONS


def problem_of(dtype="float64", activation="relu", sizes=(2, 4, 3, 5), **fields):
    numbers = {"normal": 1.0, "seed": 3}
    given = {"weights": {"uniform": (-0.9, 0.9), "seed": 171}, "inputs": numbers, "initial_state": numbers, **fields}
    case = ValidCase(
        name="c",
        file="c",
        dtype=dtype,
        activation=activation,
        layers=2,
        sizes=Sizes(*sizes),
        loss=Loss("dot"),
        upstream={"normal": 1.0, "seed": 174},
        **given,
    )
    return build(case, None)


@pytest.fixture
def with_a_dead_unit():
    """Unit 2 of the first layer has a pre-activation of exactly zero at every step; all others are far from it."""
    problem = problem_of().copy()
    for name in ("W_xh", "W_hh"):
        problem.weights[f"layer0.{name}"][:, 2] = 0
    problem.weights["layer0.b_h"][2] = 0
    return problem


@pytest.fixture
def nearly_at_zero():
    """0.1 + 0.2 − 0.3 in unit 1: 5.6e-17 in one order of summation, 2.8e-17 in another, and 0 in a third."""
    problem = problem_of(sizes=(1, 1, 3, 4), inputs="ones", initial_state="zeros").copy()
    problem.weights["layer0.W_xh"][:, 1] = [0.1, 0.2, -0.3]
    problem.weights["layer0.b_h"][1] = 0
    return problem


def forward(problem):
    return network.forward(rnn_split, problem.weights, problem.inputs, problem.initial_state, ACTIVATIONS["relu"])


def taking(problem, slope, within=0.0):
    """The gradient of somebody who takes ``slope`` at pre-activations up to ``within``."""
    passed = forward(problem)

    def slope_at(pre):
        return lambda h: np.where(np.abs(pre) <= within, slope, pre > 0).astype(h.dtype)

    caches = [
        cache._replace(activation=cache.activation._replace(slope_at_value=slope_at(cache.pre)))
        for cache in passed.caches
    ]
    loss, d_outputs = problem.loss(passed.outputs)
    gradients = network.backward(rnn_split, problem.weights, passed._replace(caches=caches), d_outputs)
    return read({"loss": loss, "outputs": passed.outputs, **gradients}, "split", problem, 0.0)


def compared(problem, actual, expected=None):
    expected = expected or run(implementations()["numpy-split"], problem)
    return compare_for(problem, actual, expected, rounding_noise(problem), Promise(complete=True))


@pytest.mark.parametrize("slope", [0.5, 1.0])
def test_another_slope_at_zero_matches_and_is_named(with_a_dead_unit, slope):
    comparison = compared(with_a_dead_unit, taking(with_a_dead_unit, slope))
    assert comparison.matches, str(comparison)
    named = [each for each in comparison.tensors if each.reason]
    assert {"layer0.W_xh", "layer0.W_hh", "layer0.b_h"} <= {each.tensor for each in named}
    for each in named:
        assert each.reason.startswith(
            f"at the kink of relu: takes slope {slope:g} where the baseline takes 0, a = 0 "
            "at layer 0, step 0, sequence 0, unit 2; slope"
        )
        assert each.reason.endswith("(+6 more places)")
        assert each.failed == 0
        assert each.metrics.error_ratio <= 1


def test_a_case_that_documents_a_mismatch_keeps_it_and_says_why(with_a_dead_unit):
    documenting = replace(with_a_dead_unit, case=replace(with_a_dead_unit.case, expect="mismatch", because="known"))
    comparison = compared(documenting, taking(with_a_dead_unit, 1.0))
    assert comparison.verdict == "mismatch"
    for each in comparison.tensors:
        assert ("at the kink of relu: takes slope 1" in each.reason) is (each.verdict == "mismatch")
    assert compared(documenting, taking(with_a_dead_unit, 0.0)).matches


def test_the_slope_of_the_baseline_needs_no_reason(with_a_dead_unit):
    comparison = compared(with_a_dead_unit, taking(with_a_dead_unit, 0.0))
    assert comparison.matches
    assert not any(each.reason for each in comparison.tensors)


def test_the_baseline_may_be_the_one_that_takes_another(with_a_dead_unit):
    """The roles the other way round."""
    reference = run(implementations()["numpy-split"], with_a_dead_unit)
    comparison = compared(with_a_dead_unit, reference, taking(with_a_dead_unit, 1.0))
    assert comparison.matches
    assert any("takes slope 0 where the baseline takes 1" in each.reason for each in comparison.tensors)


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", ["layer0.b_h", "layer0.W_xh", "layer1.W_hh", "layer1.h0", "inputs"])
@pytest.mark.parametrize("factor", [1.001, -1.0, 1 + 1e-9])
def test_a_wrong_gradient_at_a_kink_is_a_mismatch(with_a_dead_unit, slope, name, factor):
    wrong = taking(with_a_dead_unit, slope)
    wrong.gradients[name][...] *= factor
    comparison = compared(with_a_dead_unit, wrong)
    assert comparison.verdict == "mismatch"
    assert name in {each.tensor for each in comparison.disagreements}
    assert not any("kink" in each.reason for each in comparison.tensors)


def test_a_slope_that_nobody_takes_is_a_mismatch(with_a_dead_unit):
    for slope in (0.25, 2.0, -1.0):
        assert compared(with_a_dead_unit, taking(with_a_dead_unit, slope)).verdict == "mismatch"


def test_a_wrong_baseline_explains_nothing(with_a_dead_unit):
    reference = run(implementations()["numpy-split"], with_a_dead_unit)
    wrong = taking(with_a_dead_unit, 1.0)
    wrong.gradients["layer1.b_h"][...] *= 1.001
    assert compared(with_a_dead_unit, reference, wrong).verdict == "mismatch"


def test_wrong_outputs_are_no_matter_of_slopes(with_a_dead_unit):
    wrong = taking(with_a_dead_unit, 1.0)
    wrong.outputs[...] *= 1.001
    assert compared(with_a_dead_unit, wrong).verdict == "mismatch"


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "identity"])
def test_other_activations_have_no_kink(activation):
    problem = problem_of(activation=activation, weights="zeros", inputs="zeros", initial_state="zeros")
    wrong = run(implementations()["numpy-split"], problem)
    wrong.gradients["layer1.b_h"][...] *= 0.5
    assert compared(problem, wrong).verdict == "mismatch"


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_zero_within_rounding_may_fall_on_either_side(nearly_at_zero, slope):
    pre = forward(nearly_at_zero).caches[0].pre[0, 0, 1]
    assert 0 < pre < 1e-16
    comparison = compared(nearly_at_zero, taking(nearly_at_zero, slope, within=1e-15))
    assert comparison.matches, str(comparison)
    reasons = {each.reason for each in comparison.tensors}
    if slope == 0.0:
        assert any("which is 0 within rounding, at layer 0, step 0, sequence 0, unit 1" in each for each in reasons)
    else:
        assert reasons == {""}


def test_a_wrong_gradient_within_rounding_of_a_kink_is_a_mismatch(nearly_at_zero):
    """The rounding noise must not count the other slope, or anything would pass."""
    for slope in (0.0, 1.0):
        wrong = taking(nearly_at_zero, slope, within=1e-15)
        wrong.gradients["layer0.W_xh"][...] *= 1 + 1e-9
        assert compared(nearly_at_zero, wrong).verdict == "mismatch"
    noise = rounding_noise(nearly_at_zero)
    assert noise["layer0.W_xh"] < 1e-14


def test_what_counts_as_at_the_kink(nearly_at_zero):
    passed = forward(nearly_at_zero)
    assert [int(each.sum()) for each in at_kink(passed, nearly_at_zero.weights)] == [1, 0]
    nearly_at_zero.weights["layer0.W_xh"][2, 1] = -0.3 + 1e-14
    passed = forward(nearly_at_zero)
    assert [int(each.sum()) for each in at_kink(passed, nearly_at_zero.weights)] == [0, 0]


def test_a_floor_at_a_kink_widens_no_tolerance(nearly_at_zero):
    """If the certified answer finds the other side, baseline and reference are off by all of a slope."""
    expected, noise = taking(nearly_at_zero, 0.0, within=1e-15), rounding_noise(nearly_at_zero)
    floor = from_intervals(nearly_at_zero, expected.tensors)
    floor = replace(floor, rounding={name: float(errors.max()) for name, errors in floor.errors.items()})
    assert floor.rounding["layer0.W_xh"] > 0.01
    floors, raised = judged(floor, nearly_at_zero, expected, noise)
    assert raised == noise
    assert not floors.ill_conditioned
    assert "at the kink of relu" in floors.remark("layer0.W_xh")


@pytest.mark.parametrize("lengths", [None, (4, 2)], ids=["equal lengths", "unequal lengths"])
@pytest.mark.parametrize("block", ["layer0", "layer0.reverse", "layer1.reverse"])
def test_a_floor_above_the_tolerance_looks_for_kinks_in_both_directions(block, lengths):
    problem = problem_of(bidirectional=True, lengths=lengths, tolerance={"atol": 1e-30}).copy()
    expected, noise = run(implementations()["numpy-split"], problem), rounding_noise(problem)
    errors = {name: np.full(tensor.shape, 1e-3) for name, tensor in expected.tensors.items()}
    floor = ErrorFloor("certified", errors, dict.fromkeys(errors, 1e-3))
    assert "ill-conditioned" in judged(floor, problem, expected, noise)[0].remark("layer0.W_xh")
    for name in ("W_xh", "W_hh"):
        problem.weights[f"{block}.{name}"][:, 2] = 0
    problem.weights[f"{block}.b_h"][2] = 0
    assert "at the kink of relu" in judged(floor, problem, expected, noise)[0].remark("layer0.W_xh")


@pytest.mark.framework
def test_the_case_at_zero_says_it_in_the_report(harness, workplace):
    text = (workplace / "cases" / "small.yaml").read_text()
    text = text.replace("layers: 2", "layers: 2\nactivation: relu")
    text = text.replace("inputs: {normal: 1.0, seed: 2}", "inputs: zeros").replace(
        "initial_state: {normal: 0.5, seed: 3}", "initial_state: zeros"
    )
    text = text.replace("weights: {uniform: [-0.9, 0.9], seed: 1}", WEIGHTS)
    (workplace / "cases" / "small.yaml").write_text(text)
    done = harness("run", "--impl", "slope_one_at_zero")
    assert done.returncode == 0, done.stdout
    assert "at the kink of relu" in (workplace / "reports/latest/comparisons.csv").read_text()
    wrong = harness("run", "--impl", "slope_one_at_zero_and_wrong")
    assert wrong.returncode == 1


WEIGHTS = "weights: {layer0.b_h: zeros, layer1.b_h: zeros, default: {uniform: [-0.9, 0.9], seed: 1}}"
