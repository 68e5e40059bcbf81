"""Right answers of other routes stay below 16 units of rounding noise; wrong ones by a little more do not."""

import numpy as np
import pytest

import harness
from harness.derive.noise import rounding_noise
from harness.recurrences import recurrences

UNITS = 16

NAMES = sorted(recurrences())


def worst_units(route, problem):
    """Return how many units of noise, or of eps of the largest element, a route is off by at most."""
    exact = harness.run("derived", problem.as_dtype("float64")).tensors
    noise = rounding_noise(problem.sequences)
    eps = np.finfo(problem.case.dtype).eps
    found = harness.run(route, problem).tensors
    units = {
        name: np.abs(found[name] - array).max() / max(noise[name], eps * np.abs(array).max(), 1e-300)
        for name, array in exact.items()
    }
    return max(units.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_derived_pass_in_float32_is_within_the_noise(name):
    for seed in range(3):
        assert worst_units("derived", recurrences()[name].problem(seed=seed, dtype="float32")) < UNITS


@pytest.mark.framework("torch")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_torch_is_within_the_noise(name, dtype):
    for seed in range(2):
        assert worst_units("torch-cell", recurrences()[name].problem(seed=seed, dtype=dtype)) < UNITS


@pytest.mark.parametrize("name", NAMES)
def test_the_noise_of_float64_is_about_2_to_the_29_times_less(name):
    problem = recurrences()[name].problem(seed=1)
    wide, narrow = rounding_noise(problem.sequences), rounding_noise(problem.as_dtype("float32").sequences)
    ratios = [narrow[each] / wide[each] for each in wide if wide[each] > 0]
    assert 2.0**27 < np.median(ratios) < 2.0**31


def test_the_noise_is_no_excuse_for_a_wrong_number():
    problem = recurrences()["peephole_lstm"].problem()
    right, noise = harness.run("derived", problem).tensors, rounding_noise(problem.sequences)
    for name, array in right.items():
        assert UNITS * noise[name] < 1e-12 * max(1.0, np.abs(array).max()), name
