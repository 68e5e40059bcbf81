"""The error that evidence allows: where numbers underflow, and where the right ones are zero."""

from dataclasses import replace

import numpy as np
import pytest

from harness.diagnosis import Predictions, diagnose
from harness.diagnosis.evidence import WHOLE, InPart, gather
from harness.diagnosis.faults import faults, suspects_of
from harness.precision.rounding_noise import rounding_noise
from harness.problem import build

from .conftest import DOT, committed, no_weights

EPS = float(np.finfo(np.float32).eps)


def of_one(actual, truth, noise, dtype="float32", in_part=WHOLE):
    return gather({"loss": np.asarray(actual, dtype)}, {"loss": truth}, {"loss": noise}, dtype=dtype, in_part=in_part)


def test_noise_that_underflows_in_float32_counts():
    truth, noise = np.array([3.6e-38]), 3.8e-43
    assert EPS * noise < np.finfo(np.float32).smallest_subnormal
    assert of_one(truth + 10 * noise, truth, noise).off == ()
    assert of_one(truth + 30 * noise, truth, noise).off == ("loss",)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_where_zeros_belong_are_off_and_may_be_explained_to_rounding(dtype):
    eps = float(np.finfo(dtype).eps)
    predicted = np.array([1.0, -0.25, 0.5])
    evidence = of_one(predicted * (1 + 2 * eps), np.zeros(3), 0.0, dtype)
    assert evidence.off == ("loss",)
    assert evidence.wrong("loss").all()
    assert evidence.fit("loss", predicted).agrees
    assert not evidence.fit("loss", predicted * (1 + 1e4 * eps)).agrees
    # No element says more than its dtype can hold.
    assert evidence.bits({"loss": 0.0}) <= 3 * -np.log2(16 * eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["slope-missing", "slope-of-another-activation", "inputs-without-slope"])
def test_a_fault_is_named_where_every_right_gradient_is_zero(name, dtype):
    """Relu that is off everywhere: what the fault lets through has nothing to be measured against."""
    weights = {"default": {"uniform": (-0.9, 0.9), "seed": 1}, "layer0.b_h": {"fill": -50.0}}
    problem = build(replace(DOT, activation="relu", weights=weights, dtype=dtype), no_weights)
    predictions = Predictions(problem, rounding_noise(problem))
    assert not predictions.truth["layer0.W_xh"].any()
    answer = committed(problem, next(suspects_of(faults()[name], problem)))
    random = np.random.default_rng(3)
    eps = np.finfo(dtype).eps
    shaken = {
        each: array * (1 + eps * random.integers(-1, 2, array.shape)).astype(dtype) for each, array in answer.items()
    }
    assert name in [each.fault for each in diagnose(shaken, predictions)]


SIZES = (0.0, 1e-300, 1e-8, 1.0, 1e8, 1e300, np.inf, np.nan)


@pytest.mark.parametrize("digits", [False, True], ids=["alike everywhere", "printed digits"])
@pytest.mark.parametrize("size", [0.0, 1e-300, 1.0, 1e300])
def test_what_disagrees_is_told_sooner_and_not_otherwise(size, digits):
    """On both sides of the limit, by a hair and by far, where numbers overflow and where they are not finite."""
    draw = np.random.default_rng(5)
    truth = size * draw.uniform(0.5, 1.0, 4)
    for growth in SIZES:
        actual = truth + growth * draw.normal(size=4)
        printed = InPart(digits={"loss": np.abs(truth) * draw.uniform(0, 1e-3, 4)}) if digits else WHOLE
        evidence = of_one(actual, truth, 0.0, "float64", printed)
        assert evidence.fit("loss", actual).agrees
        for off in (0, 1e-17, 1e-16, 1e-15, 7e-15, 8e-15, 9e-15, 1e-14, 1e-12, 1e-3, 1.0, 1e10, np.inf, np.nan):
            for at in range(4):
                predicted = actual.copy()
                with np.errstate(all="ignore"):
                    predicted[at] += off * max(size, growth)
                fit = evidence.fit("loss", predicted)
                assert evidence.residual_if_agrees("loss", predicted) == (fit.residual if fit.agrees else None)


def in_bits(actual, **options):
    truth = np.array([1.0, -2.0, 3.0, 4.0])
    return of_one(actual, truth, 0.0, "float64").bits({"loss": options.pop("residual", 0.0)}, **options)


def test_a_fitted_number_costs_what_the_most_telling_element_says():
    actual = np.array([1.5, -2.0, 3.0, 4.0 + 1e-9])
    most, least = in_bits(np.array([1.5, -2.0, 3.0, 4.0])), in_bits(np.array([1.0, -2.0, 3.0, 4.0 + 1e-9]))
    assert most > least > 0
    assert in_bits(actual) == pytest.approx(most + least)
    assert in_bits(actual, fitted=1) == pytest.approx(least)
    assert in_bits(actual, fitted=2) == pytest.approx(0)
    assert in_bits(actual, fitted=3) < 0, "what is right pays for nothing"
    assert in_bits(actual, fitted=7) < in_bits(actual, fitted=6)


def test_a_prediction_that_is_further_off_has_less_evidence():
    actual = np.array([1.5, -2.5, 3.5, 4.5])
    exact, near, far = (in_bits(actual, residual=residual) for residual in (0.0, 1e-14, 1e-8))
    assert exact > near > far > 0
    assert near - far == pytest.approx(4 * np.log2(1e6))


def test_an_element_at_a_limit_says_no_more_than_its_sign():
    actual = np.array([0.5, -0.5, 0.5, 0.25])
    below = {"loss": np.abs(actual) < 0.5}
    alone = in_bits(np.array([1.0, -2.0, 3.0, 0.25]))
    assert in_bits(actual, telling=below) == pytest.approx(3 + alone)
