"""A gradient computation leaves what it was given as it was, and does the same the second time."""

import numpy as np

from reference_impls import network


def test_nothing_given_is_written_to(net, read_only, derivation, activation, loss):
    problem = read_only(net(activation, loss, "mean", 2, readout=True))
    before = {name: array.copy() for name, array in problem.given.items()}
    problem.solve(derivation)
    for name, array in problem.given.items():
        np.testing.assert_array_equal(array, before[name])


def test_backward_twice_is_backward_once(net, derivation, activation, readout):
    arguments = net(activation, layers=2, readout=readout).arguments(derivation)
    passed = network.forward(*arguments)
    d_outputs = np.random.default_rng(5).normal(size=passed.outputs.shape)
    d_outputs.setflags(write=False)
    first, second = (network.backward(derivation, arguments[1], passed, d_outputs) for _ in range(2))
    assert first.keys() == second.keys()
    for name, gradient in first.items():
        np.testing.assert_array_equal(gradient, second[name])
        assert not np.shares_memory(gradient, second[name])


def test_arrays_in_any_memory_order_give_the_same(net, assert_close, derivation):
    problem = net("tanh", layers=2, readout=True)
    fortran = problem.with_given({name: np.asfortranarray(array) for name, array in problem.given.items()})
    assert_close(fortran.solve(derivation)[2], problem.solve(derivation)[2], 1e-14)


def test_the_gradient_is_linear_in_the_upstream_gradient(net, derivation, activation):
    arguments = net(activation, layers=3, readout=True).arguments(derivation)
    passed = network.forward(*arguments)
    u = np.random.default_rng(6).normal(size=passed.outputs.shape)
    once, twice = (network.backward(derivation, arguments[1], passed, scale * u) for scale in (1, 2))
    for name, gradient in once.items():
        np.testing.assert_array_equal(2 * gradient, twice[name])
