"""The nonlinearities and their slopes, each number by itself."""

import math

import numpy as np
import pytest

from reference_impls.activations import ACTIVATIONS

FORMULAS = {
    "tanh": (math.tanh, lambda a: 1 / math.cosh(a) ** 2),
    "sigmoid": (lambda a: 1 / (1 + math.exp(-a)), lambda a: 1 / (2 * math.cosh(a / 2)) ** 2),
    "relu": (lambda a: max(a, 0.0), lambda a: float(a > 0)),
    "identity": (float, lambda _: 1.0),
}
ARGUMENTS = np.linspace(-4, 4, 41)


def value(name, a):
    a = np.asarray(a)
    return ACTIVATIONS[name].value(a, np.empty_like(a))


def test_values_and_slopes_are_the_textbook_ones(activation):
    h, slope = FORMULAS[activation]
    np.testing.assert_allclose(value(activation, ARGUMENTS), [h(a) for a in ARGUMENTS], rtol=1e-14)
    slopes = ACTIVATIONS[activation].slope_at_value(value(activation, ARGUMENTS))
    np.testing.assert_allclose(slopes, [slope(a) for a in ARGUMENTS], rtol=1e-12)


def test_the_value_may_overwrite_its_argument(activation):
    a = ARGUMENTS.copy()
    assert ACTIVATIONS[activation].value(a, a) is a
    np.testing.assert_array_equal(a, value(activation, ARGUMENTS))


def test_the_value_leaves_its_argument_alone_otherwise(activation):
    a = ARGUMENTS.copy()
    out = np.empty_like(a)
    assert ACTIVATIONS[activation].value(a, out) is out
    np.testing.assert_array_equal(a, ARGUMENTS)


def test_the_slope_leaves_the_value_alone(activation):
    h = value(activation, ARGUMENTS)
    before = h.copy()
    slope = ACTIVATIONS[activation].slope_at_value(h)
    assert not np.shares_memory(slope, h)
    np.testing.assert_array_equal(h, before)


def test_the_imaginary_part_carries_the_slope(activation):
    moved = value(activation, ARGUMENTS + 1e-20j)
    slope = FORMULAS[activation][1]
    np.testing.assert_allclose(moved.imag / 1e-20, [slope(a) for a in ARGUMENTS], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_saturation_is_exact_and_quiet(dtype):
    a = np.array([-1000, 1000, -20000, 20000], dtype)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        np.testing.assert_array_equal(value("tanh", a), [-1, 1, -1, 1])
        sigmoid = value("sigmoid", a)
        np.testing.assert_array_equal(sigmoid[[1, 3]], [1, 1])
        assert (sigmoid[[0, 2]] <= np.exp(dtype(-1000))).all()
        assert (sigmoid[[0, 2]] >= 0).all()
        for name in ("tanh", "sigmoid"):
            assert not ACTIVATIONS[name].slope_at_value(value(name, a))[[1, 3]].any()


def test_saturation_of_complex_numbers_is_exact_and_quiet():
    a = np.array([1000, -1000, np.inf, -np.inf]) + 1e-20j
    with np.errstate(over="raise", divide="raise"):
        np.testing.assert_array_equal(value("sigmoid", a[:2]), [1, 0])
        np.testing.assert_array_equal(value("tanh", a[:2]), [1, -1])
    np.testing.assert_array_equal(value("relu", a.real), [1000, 0, np.inf, 0])


def test_sigmoid_keeps_small_values():
    """1/(1+e⁻ᵃ) must not round to 0 where eᵃ is still a normal number."""
    np.testing.assert_allclose(value("sigmoid", np.array([-700.0, -40.0])), np.exp([-700.0, -40.0]), rtol=1e-15)


def test_sigmoid_is_symmetric():
    np.testing.assert_allclose(value("sigmoid", ARGUMENTS) + value("sigmoid", -ARGUMENTS), 1, rtol=1e-15)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_relu_takes_slope_zero_at_exactly_zero(zero):
    h = value("relu", np.array([zero]))
    assert h == 0
    assert ACTIVATIONS["relu"].slope_at_value(h) == 0
    assert value("relu", np.array([zero + 1e-20j])).imag == 0


def test_relu_knows_zero_from_the_least_number_above_it():
    h = value("relu", np.array([5e-324, -5e-324]))
    np.testing.assert_array_equal(ACTIVATIONS["relu"].slope_at_value(h), [1, 0])


def test_a_network_of_relus_at_exactly_zero_has_no_gradient_below_them(net, derivation):
    problem = net("relu", "squared_error", readout=True)
    problem = problem.with_given({name: np.zeros_like(array) for name, array in problem.given.items()})
    _, _, gradients = problem.solve(derivation)
    assert gradients.pop("readout.b_y").all()
    assert not any(gradient.any() for gradient in gradients.values())
