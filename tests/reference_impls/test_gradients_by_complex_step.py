"""Every element of every gradient against the derivative of the forward pass alone."""

import numpy as np
import pytest


@pytest.mark.spread(2)
def test_every_gradient_is_the_derivative_of_the_forward_pass(
    net, assert_close, derivation, activation, layers, readout, loss, reduction
):
    problem = net(activation, loss, reduction, layers, readout)
    expected = problem.complex_step(derivation)
    _, _, gradients = problem.solve(derivation)
    assert_close(gradients, expected, 1e-13)
    assert all(tensor.any() for tensor in expected.values())


@pytest.mark.spread(2)
@pytest.mark.parametrize("steps", [[-1], [0], [0, 2], [-2, -1]], ids=str)
def test_a_loss_on_some_steps(net, assert_close, derivation, loss, reduction, steps):
    problem = net("tanh", loss, reduction, 2, steps=steps)
    expected = problem.complex_step(derivation)
    assert_close(problem.solve(derivation)[2], expected, 1e-13)
    after = max(np.arange(3)[steps]) + 1
    assert not problem.solve(derivation)[2]["inputs"][:, after:].any()


@pytest.mark.parametrize(
    "sizes",
    [{"T": 1}, {"B": 1}, {"H": 1}, {"I": 1}, {"O": 1}, {"B": 1, "T": 1, "I": 1, "H": 1, "O": 1}, {"T": 12, "H": 2}],
    ids=lambda sizes: ",".join(f"{name}={size}" for name, size in sizes.items()),
)
def test_the_smallest_sizes_and_a_longer_one(sized_net, assert_close, derivation, readout, sizes):
    problem = sized_net(sizes, layers=2, readout=readout, loss="squared_error")
    assert_close(problem.solve(derivation)[2], problem.complex_step(derivation), 1e-13)


def test_the_loss_of_the_gradients_is_that_of_the_forward_pass(net, derivation, loss, reduction):
    problem = net("tanh", loss, reduction, 2, readout=True)
    value, outputs, _ = problem.solve(derivation)
    assert value.shape == ()
    assert value == problem.forward_loss(derivation)
    assert outputs.shape == (2, 3, 5)
