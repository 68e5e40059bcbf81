"""Gated cells, each in both derivations: every element of every gradient against the forward pass alone."""

import numpy as np
import pytest

from reference_impls import network
from reference_impls.activations import ACTIVATIONS

REAL = [np.float16, np.float32, np.float64, np.longdouble]
COMPLEX = [np.complex64, np.complex128, np.clongdouble]
EPS = {dtype: float(np.finfo(dtype).eps) for dtype in REAL}
wide_longdouble = pytest.mark.skipif(
    EPS[np.longdouble] > EPS[np.float64] / 1000, reason="longdouble is hardly more precise than float64 here"
)


def name_of(dtype):
    return np.dtype(dtype).name


@pytest.mark.spread(2)
def test_every_gradient_is_the_derivative_of_the_forward_pass(net, assert_close, cell, gated, layers, readout):
    problem = net("tanh", layers=layers, readout=readout, cell=cell)
    expected = problem.complex_step(gated)
    assert_close(problem.solve(gated)[2], expected, 1e-13)
    assert all(tensor.any() for tensor in expected.values())


@pytest.mark.spread(2)
def test_with_other_nonlinearities(net, assert_close, cell, gated, activation):
    problem = net(activation, "dot", layers=2, cell=cell)
    assert_close(problem.solve(gated)[2], problem.complex_step(gated), 1e-13)


@pytest.mark.parametrize("steps", [[-1], [0], [0, 2], [-2, -1]], ids=str)
def test_a_loss_on_some_steps(net, assert_close, cell, gated, steps):
    problem = net("tanh", "squared_error", "sum", 2, steps=steps, cell=cell)
    assert_close(problem.solve(gated)[2], problem.complex_step(gated), 1e-13)
    after = max(np.arange(3)[steps]) + 1
    assert not problem.solve(gated)[2]["inputs"][:, after:].any()


@pytest.mark.spread(2)
@pytest.mark.parametrize(
    "sizes",
    [{"T": 1}, {"B": 1}, {"H": 1}, {"I": 1}, {"B": 1, "T": 1, "I": 1, "H": 1}, {"T": 12, "H": 2}, {"I": 3}],
    ids=lambda sizes: ",".join(f"{name}={size}" for name, size in sizes.items()),
)
def test_the_smallest_sizes_and_a_longer_one(sized_net, assert_close, cell, gated, sizes):
    problem = sized_net(sizes, layers=2, cell=cell)
    assert_close(problem.solve(gated)[2], problem.complex_step(gated), 1e-13)


@pytest.mark.spread(2)
@pytest.mark.parametrize("dtype", REAL, ids=name_of)
def test_the_two_derivations_agree_to_the_rounding_of_the_dtype(
    net, assert_close, cell, gated_derivations, layers, loss, dtype
):
    problem = net("tanh", loss, "sum", layers, readout=True, cell=cell).astype(dtype)
    (_, outputs, first), *others = (problem.solve(layer) for layer in gated_derivations)
    assert len(others) == 1
    for _, other_outputs, other in others:
        assert_close({"outputs": other_outputs, **other}, {"outputs": outputs, **first}, 200 * EPS[dtype])


@wide_longdouble
def test_longdouble_is_computed_in_longdouble(net, cell, gated_derivations, loss):
    """A constant or a function of float64 anywhere in the way would leave its error of 1e-16."""
    problem = net("tanh", loss, "mean", 2, readout=True, cell=cell).astype(np.longdouble)
    first, second = (problem.solve(layer)[2] for layer in gated_derivations)
    in_float64 = problem.astype(np.float64).solve(gated_derivations[0])[2]

    def largest_distance(gradients):
        distances = [np.abs(gradients[name] - first[name]).max() / np.abs(first[name]).max() for name in first]
        return float(max(distances))

    assert largest_distance(second) < 50 * EPS[np.longdouble]
    assert largest_distance(in_float64) > EPS[np.float64] / 10
    assert largest_distance(second) < largest_distance(in_float64) / 100


@pytest.mark.parametrize("dtype", REAL, ids=name_of)
def test_real_in_real_out(net, cell, gated, dtype):
    value, outputs, gradients = net("tanh", layers=2, readout=True, cell=cell).astype(dtype).solve(gated)
    for name, tensor in {"loss": value, "outputs": outputs, **gradients}.items():
        assert tensor.dtype == dtype, name
        assert np.isfinite(tensor).all(), name


@pytest.mark.parametrize("dtype", COMPLEX, ids=name_of)
def test_complex_forward(net, cell, gated, dtype):
    problem = net("tanh", layers=2, readout=True, cell=cell).astype(np.finfo(dtype).dtype)
    real = network.forward(*problem.arguments(gated)).outputs
    complex_problem = problem.with_given({name: array.astype(dtype) for name, array in problem.given.items()})
    passed = network.forward(*complex_problem.arguments(gated))
    assert passed.outputs.dtype == dtype
    assert np.abs(passed.outputs - real).max() < 100 * np.finfo(dtype).eps
    assert not passed.outputs.imag.any()


def test_nothing_given_is_written_to(net, read_only, cell, gated, loss):
    problem = read_only(net("tanh", loss, "mean", 2, readout=True, cell=cell))
    before = {name: array.copy() for name, array in problem.given.items()}
    problem.solve(gated)
    for name, array in problem.given.items():
        np.testing.assert_array_equal(array, before[name])


def test_backward_twice_is_backward_once(net, cell, gated, readout):
    arguments = net("tanh", layers=2, readout=readout, cell=cell).arguments(gated)
    passed = network.forward(*arguments)
    d_outputs = np.random.default_rng(5).normal(size=passed.outputs.shape)
    d_outputs.setflags(write=False)
    first, second = (network.backward(gated, arguments[1], passed, d_outputs) for _ in range(2))
    doubled = network.backward(gated, arguments[1], passed, 2 * d_outputs)
    assert first.keys() == second.keys()
    for name, gradient in first.items():
        np.testing.assert_array_equal(gradient, second[name])
        np.testing.assert_array_equal(2 * gradient, doubled[name])
        assert not np.shares_memory(gradient, second[name])


def test_arrays_in_any_memory_order_give_the_same(net, assert_close, cell, gated):
    problem = net("tanh", layers=2, readout=True, cell=cell)
    fortran = problem.with_given({name: np.asfortranarray(array) for name, array in problem.given.items()})
    assert_close(fortran.solve(gated)[2], problem.solve(gated)[2], 1e-14)


def test_another_nonlinearity_of_the_gates(net, cell, gated):
    """It arrives in every layer; with tanh for σ, a zero pre-activation shuts the gate, where it is half open else."""
    problem = net("tanh", layers=2, cell=cell)
    zeros = problem.with_given({name: np.zeros_like(array) for name, array in problem.given.items()})
    arguments = zeros.with_given({**zeros.given, "layer1.h0": np.ones((2, 3))}).arguments(gated)
    if cell == "lstm":
        arguments[3]["layer1.c0"] = np.ones((2, 3))
    halved = network.forward(*arguments).outputs
    shut = network.forward(*arguments, gate_activation=ACTIVATIONS["tanh"]).outputs
    assert halved.any()
    assert not shut.any()
