"""Everything is computed in the dtype that is given, and comes back in it."""

import numpy as np
import pytest

from reference_impls import network
from reference_impls.activations import ACTIVATIONS

REAL = [np.float16, np.float32, np.float64, np.longdouble]
COMPLEX = [np.complex64, np.complex128, np.clongdouble]


def name_of(dtype):
    return np.dtype(dtype).name


@pytest.mark.spread(2)
@pytest.mark.parametrize("dtype", REAL, ids=name_of)
def test_real_in_real_out(net, derivation, activation, loss, reduction, readout, dtype):
    value, outputs, gradients = net(activation, loss, reduction, 2, readout).astype(dtype).solve(derivation)
    for name, tensor in {"loss": value, "outputs": outputs, **gradients}.items():
        assert tensor.dtype == dtype, name
        assert np.isfinite(tensor).all(), name


@pytest.mark.parametrize("dtype", COMPLEX, ids=name_of)
def test_complex_forward(net, derivation, activation, dtype):
    problem = net(activation, layers=2, readout=True).astype(np.finfo(dtype).dtype)
    real = network.forward(*problem.arguments(derivation)).outputs
    complex_problem = problem.with_given({name: array.astype(dtype) for name, array in problem.given.items()})
    passed = network.forward(*complex_problem.arguments(derivation))
    assert passed.outputs.dtype == dtype
    assert np.abs(passed.outputs - real).max() < 100 * np.finfo(dtype).eps
    assert not passed.outputs.imag.any()


@pytest.mark.parametrize("dtype", [*REAL, *COMPLEX], ids=name_of)
def test_activations_and_their_slopes(activation, dtype):
    a = np.array([-2, -0.5, 0, 0.5, 2], dtype)
    phi = ACTIVATIONS[activation]
    h = phi.value(a, np.empty_like(a))
    assert h.dtype == phi.slope_at_value(h).dtype == dtype
    assert phi.slope_at_value(h).shape == a.shape


@pytest.mark.spread(2)
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=name_of)
def test_the_gradient_in_a_narrow_dtype_is_near_the_one_in_a_wide_one(
    net, assert_close, derivation, activation, loss, dtype
):
    problem = net(activation, loss, "sum", 3, readout=True).astype(dtype)
    wide = problem.astype(np.longdouble).solve(derivation)[2]
    assert_close(problem.solve(derivation)[2], wide, 100 * float(np.finfo(dtype).eps))
