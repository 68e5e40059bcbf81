"""The two derivations are one function: they agree to rounding, and in higher precision to finer rounding."""

import numpy as np
import pytest

EPS = {dtype: float(np.finfo(dtype).eps) for dtype in (np.float16, np.float32, np.float64, np.longdouble)}


@pytest.mark.spread(2)
@pytest.mark.parametrize("dtype", EPS, ids=lambda dtype: np.dtype(dtype).name)
def test_they_agree_to_the_rounding_of_the_dtype(
    net, assert_close, derivations, activation, layers, readout, loss, dtype
):
    problem = net(activation, loss, "sum", layers, readout).astype(dtype)
    (_, outputs, first), *others = (problem.solve(derivation) for derivation in derivations)
    assert others
    for value, other_outputs, other in others:
        assert np.isfinite(value)
        assert_close({"outputs": other_outputs, **other}, {"outputs": outputs, **first}, 200 * EPS[dtype])


@pytest.mark.skipif(
    EPS[np.longdouble] > EPS[np.float64] / 1000, reason="longdouble is hardly more precise than float64 here"
)
def test_longdouble_is_computed_in_longdouble(net, derivations, activation, loss, reduction):
    """A constant or a function of float64 anywhere in the way would leave its error of 1e-16."""
    problem = net(activation, loss, reduction, 2, readout=True).astype(np.longdouble)
    first, second = (problem.solve(layer)[2] for layer in derivations)
    in_float64 = problem.astype(np.float64).solve(derivations[0])[2]

    def largest_distance(gradients):
        distances = [np.abs(gradients[name] - first[name]).max() / np.abs(first[name]).max() for name in first]
        return float(max(distances))

    assert largest_distance(second) < 50 * EPS[np.longdouble]
    assert largest_distance(in_float64) > EPS[np.float64] / 10
    assert largest_distance(second) < largest_distance(in_float64) / 100
