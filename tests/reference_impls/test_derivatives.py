"""The derivative of any function by complex perturbation, held against derivatives that are known."""

import numpy as np
import pytest

from reference_impls.derivatives import by_complex_step

GIVEN = {"x": np.array([[0.3, -1.2, 0.7], [2.0, 0.1, -0.4]]), "b": np.array(0.5)}


def test_it_is_the_derivative_to_the_last_digits():
    found = by_complex_step(lambda x, b: (np.exp(x) * b**3).sum(), GIVEN)
    np.testing.assert_allclose(found["x"], np.exp(GIVEN["x"]) * 0.125, rtol=1e-15)
    np.testing.assert_allclose(found["b"], 3 * 0.25 * np.exp(GIVEN["x"]).sum(), rtol=1e-15)


def test_each_number_is_put_back():
    found = by_complex_step(lambda x: (x[0] * x[1]).sum(), {"x": GIVEN["x"]})
    np.testing.assert_array_equal(found["x"], GIVEN["x"][::-1])


def test_what_is_given_stays_as_it_is():
    before = {name: array.copy() for name, array in GIVEN.items()}
    by_complex_step(lambda x, b: x.sum() * b, GIVEN)
    for name, array in GIVEN.items():
        np.testing.assert_array_equal(array, before[name])
        assert array.dtype == np.float64


@pytest.mark.parametrize("takes_the_real_part", [lambda x: x.real.sum(), lambda x: np.abs(x).sum()])
def test_a_function_that_leaves_the_complex_numbers_is_refused(takes_the_real_part):
    with pytest.raises(TypeError, match="returned a real number"):
        by_complex_step(takes_the_real_part, {"x": GIVEN["x"]})
