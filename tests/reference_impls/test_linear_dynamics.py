"""Linear dynamics in closed form, against the recursion and against the derivative of the forward pass."""

import numpy as np
import pytest

from reference_impls import linear_dynamics, rnn_split
from reference_impls.truncation import Detach, Window

SIZES = {"B": 2, "T": 6, "H": 3}
TRUNCATIONS = [None, *(Detach(k) for k in (1, 2, 4, 6, 9)), *(Window(k) for k in (0, 1, 3, 5, 9))]


def solve(problem, truncation=None, module=linear_dynamics):
    return module.loss_and_gradients(
        problem.weights, problem.inputs, problem.initial_state, problem.loss_of, truncation
    )


@pytest.mark.spread(2)
@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=str)
def test_as_the_recursion_says(sized_net, assert_close, truncation, layers, readout, loss):
    problem = sized_net(SIZES, activation="identity", layers=layers, readout=readout, loss=loss)
    loss_of, outputs, gradients = problem.solve(rnn_split, truncation)
    value, ours, found = solve(problem, truncation)
    assert_close({"loss": value, "outputs": ours, **found}, {"loss": loss_of, "outputs": outputs, **gradients}, 1e-13)


def test_every_gradient_is_the_derivative_of_the_forward_pass(sized_net, assert_close, layers):
    problem = sized_net(SIZES, activation="identity", layers=layers, readout=True)
    expected = problem.complex_step(rnn_split)
    assert_close(solve(problem)[2], expected, 1e-13)
    assert all(tensor.any() for tensor in expected.values())


@pytest.mark.parametrize("steps", [[-1], [0], [1, 3]], ids=str)
def test_a_loss_on_some_steps(sized_net, assert_close, steps):
    problem = sized_net(SIZES, activation="identity", layers=2, steps=steps)
    for truncation in (None, Detach(4), Window(2)):
        assert_close(solve(problem, truncation)[2], problem.solve(rnn_split, truncation)[2], 1e-13)


def test_one_step_of_one_unit(sized_net, assert_close):
    problem = sized_net({"B": 1, "T": 1, "I": 1, "H": 1}, activation="identity")
    assert_close(solve(problem)[2], problem.solve(rnn_split)[2], 1e-15)


@pytest.mark.parametrize("truncation", [None, Window(2)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.longdouble], ids=lambda dtype: np.dtype(dtype).name)
def test_dtypes_stay(sized_net, dtype, truncation):
    problem = sized_net(SIZES, activation="identity", layers=2, readout=True).astype(dtype)
    value, outputs, gradients = solve(problem, truncation)
    for name, tensor in {"loss": value, "outputs": outputs, **gradients}.items():
        assert tensor.dtype == dtype, name


def test_powers():
    W = np.random.default_rng(0).integers(-3, 4, (3, 3)).astype(float)
    expected = [np.linalg.matrix_power(W, k) for k in range(8)]
    np.testing.assert_array_equal(linear_dynamics.powers_of(W, 8), expected)
    assert linear_dynamics.powers_of(W.astype(np.float32), 8).dtype == np.float32


def test_the_work_is_that_of_all_pairs_of_steps():
    full = linear_dynamics.reaches(None, 100)
    assert linear_dynamics.work(100, 2, 5, full, 1) == 25 * (2 * (5000 + 5000) + 500)
    cut = linear_dynamics.reaches(Detach(10), 100)
    assert linear_dynamics.work(100, 2, 5, cut, 1) < linear_dynamics.work(100, 2, 5, full, 1)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("turned[1 : end + 1]", "turned[:end]"),
        ("turned[: end - t]", "turned[1 : end - t + 1]"),
        ("_outer(states[n][:-1], delta)", "_outer(states[n][1:], delta)"),
        ("powers.swapaxes(1, 2)", "powers"),
        ("range(reach.first, end)", "range(end)"),
        ("max(0, step - truncation.steps)", "max(0, step - truncation.steps + 1)"),
        ("gradients[name] + part if name in gradients else part", "part"),
        ("            g = d_x\n", ""),
    ],
)
def test_a_mistake_is_seen(sized_net, changed, assert_close, right, wrong):
    problem = sized_net({"B": 2, "T": 6, "I": 3, "H": 3}, activation="identity", layers=2, loss="dot")
    expected = problem.solve(rnn_split, Window(2))[2]
    with pytest.raises(AssertionError, match="instead of"):
        assert_close(solve(problem, Window(2), changed(linear_dynamics, right, wrong))[2], expected, 1e-6)
