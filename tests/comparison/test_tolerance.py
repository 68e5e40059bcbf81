"""The bound in force, where it comes from, and what it is relative to."""

import numpy as np
import pytest

from harness.case import Case, Loss, Sizes
from harness.conditioning import rounding_noise
from harness.problem import build
from harness.tolerance import UNITS, bound, largest_magnitude

EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


@pytest.mark.parametrize("dtype", UNITS)
def test_the_default_is_in_units_of_the_tensors_own_scale(dtype):
    expected = np.array([[1.0, -3.0], [2.0, 0.0]], dtype)
    found = bound("layer0.W_hh", expected)
    assert (found.rtol, found.atol) == (0.0, UNITS[dtype]["W_hh"] * EPS[dtype] * 3)
    assert "W_hh" in found.origin
    assert dtype in found.origin


def test_noise_above_the_scale_counts_and_below_it_does_not():
    expected = np.array([1.0, -2.0])
    assert bound("layer0.b_h", expected, noise=1e-17).atol == bound("layer0.b_h", expected).atol
    noisy = bound("layer0.b_h", expected, noise=1e-12)
    assert noisy.atol == UNITS["float64"]["b_h"] * 1e-12
    assert "rounding noise 1e-12" in noisy.origin
    assert not noisy.ill_conditioned
    assert bound("layer0.b_h", expected, noise=1e-7).ill_conditioned


def test_a_case_may_say_otherwise():
    expected = np.ones(3)
    found = bound("loss", expected, {"rtol": 1e-5})
    assert (found.rtol, found.atol) == (1e-5, 0.0)
    by_name = {"loss": {"atol": 1.0}, "default": {"rtol": 0.1, "atol": 0.2}}
    assert bound("loss", expected, by_name).atol == 1.0
    assert (bound("inputs", expected, by_name).rtol, bound("inputs", expected, by_name).atol) == (0.1, 0.2)
    assert "default" in bound("inputs", expected, by_name).origin
    assert bound("inputs", expected, {"loss": {"atol": 1.0}}) == bound("inputs", expected)


def test_zeros_must_be_zero():
    assert bound("inputs", np.zeros((2, 2))).atol == 0.0


def test_infinities_are_not_the_scale():
    assert largest_magnitude(np.array([1.0, np.inf, -4.0, np.nan])) == 4.0
    assert largest_magnitude(np.array([np.nan])) == 0.0


def problem(**fields):
    defaults = {
        "name": "noise",
        "file": "noise",
        "sizes": Sizes(batch=2, time=5, input=3, hidden=4),
        "weights": {"uniform": (-0.5, 0.5), "seed": 1},
        "inputs": {"normal": 1.0, "seed": 2},
        "initial_state": {"normal": 0.5, "seed": 3},
        "loss": Loss(kind="dot"),
        "upstream": {"normal": 1.0, "seed": 4},
    }
    return build(Case(**{**defaults, **fields}), None)


@pytest.mark.parametrize("dtype", EPS)
def test_the_noise_of_a_well_conditioned_problem_is_a_few_eps(dtype):
    given = problem(dtype=dtype)
    noise = rounding_noise(given)
    assert noise.keys() == {"loss", "outputs", *given.structure.gradients}
    for name in ("layer0.W_hh", "layer0.W_xh", "inputs", "outputs"):
        assert 0.1 * EPS[dtype] < noise[name] < 100 * EPS[dtype]


def test_the_noise_is_the_same_each_time():
    assert rounding_noise(problem()) == rounding_noise(problem())


def test_saturation_and_chaos_are_noisy():
    from harness.implementations import implementations
    from harness.result import run

    saturated = problem(weights={"fill": 4.0}, inputs="ones", initial_state="ones")
    gradient = run(implementations()["numpy-split"], saturated).gradients["layer0.h0"]
    largest = np.abs(gradient).max()
    assert rounding_noise(saturated)["layer0.h0"] > 1000 * EPS["float64"] * largest
    calm, chaotic = (
        problem(sizes=Sizes(batch=2, time=12, input=3, hidden=64), weights={"normal": size, "seed": 1})
        for size in (0.05, 0.6)
    )
    assert rounding_noise(chaotic)["outputs"] > 20 * rounding_noise(calm)["outputs"]


def test_labels_are_not_rounded():
    given = problem(
        loss=Loss(kind="softmax_cross_entropy", reduction="mean"), targets={"uniform": (0, 4), "seed": 1}, upstream=None
    )
    assert given.targets.dtype == np.int64
    noise = rounding_noise(given)
    assert noise["loss"] < 1e-14
    assert 0 < noise["inputs"] < 1e-14
