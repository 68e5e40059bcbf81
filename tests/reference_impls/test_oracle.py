"""The gradient from the forward pass alone, for many numbers at once."""

import numpy as np
import pytest

from reference_impls import complex_step, network, rnn_split
from reference_impls.activations import ACTIVATIONS
from reference_impls.losses import ROW_LOSSES
from reference_impls.truncation import Detach, Window, passes


def oracle(problem, truncation=None):
    return complex_step.gradients(*problem.for_oracle(), truncation)


@pytest.mark.spread(2)
def test_it_is_the_perturbation_of_one_number_at_a_time(
    net, assert_close, activation, layers, readout, loss, reduction
):
    problem = net(activation, loss, reduction, layers, readout)
    value, outputs, gradients = oracle(problem)
    assert_close(gradients, problem.complex_step(rnn_split), 1e-13)
    expected_value, expected_outputs, _ = problem.solve(rnn_split)
    assert value == pytest.approx(float(expected_value), rel=1e-14)
    np.testing.assert_array_equal(outputs, expected_outputs)


@pytest.mark.parametrize("steps", [[-1], [0], [0, 2]], ids=str)
def test_a_loss_on_some_steps(net, assert_close, loss, steps):
    problem = net("tanh", loss, "mean", 2, steps=steps)
    assert_close(oracle(problem)[2], problem.complex_step(rnn_split), 1e-13)


@pytest.mark.parametrize(
    "sizes",
    [{"T": 1}, {"B": 1}, {"H": 1}, {"I": 1}, {"B": 1, "T": 1, "I": 1, "H": 1, "O": 1}],
    ids=lambda sizes: ",".join(f"{name}={size}" for name, size in sizes.items()),
)
def test_the_smallest_sizes(sized_net, assert_close, readout, sizes):
    problem = sized_net(sizes, layers=2, readout=readout)
    assert_close(oracle(problem)[2], problem.complex_step(rnn_split), 1e-13)


@pytest.mark.parametrize("chunk", [1, 100, 10**9])
def test_how_many_directions_are_taken_at_once_changes_nothing(net, assert_close, monkeypatch, chunk):
    problem = net("tanh", layers=2, readout=True)
    expected = oracle(problem)[2]
    monkeypatch.setattr(complex_step, "CHUNK", chunk)
    assert_close(oracle(problem)[2], expected, 1e-15)


def test_no_backward_code_takes_part(net, monkeypatch):
    def forbidden(*_):
        raise AssertionError("the oracle called backward code")

    problem = net("tanh", layers=2, readout=True)
    expected = oracle(problem)[2]
    monkeypatch.setattr(rnn_split, "backward", forbidden)
    monkeypatch.setattr(network, "backward", forbidden)
    monkeypatch.setattr(network.readout, "backward", forbidden)
    wrong = {name: each._replace(slope_at_value=forbidden) for name, each in ACTIVATIONS.items()}
    for name, each in wrong.items():
        monkeypatch.setitem(ACTIVATIONS, name, each)
    for name, gradient in oracle(problem)[2].items():
        np.testing.assert_array_equal(gradient, expected[name])


def test_saturation_keeps_the_digits_that_one_minus_h_squared_loses():
    """At a = 15, 1 − tanh² loses all but three digits; the complex tangent has them all."""
    one = {"layer0.W_xh": np.array([[15.0]]), "layer0.W_hh": np.zeros((1, 1)), "layer0.b_h": np.zeros(1)}
    _, _, gradients = complex_step.gradients(
        one,
        np.ones((1, 1, 1)),
        {"layer0.h0": np.zeros((1, 1))},
        ACTIVATIONS["tanh"],
        ROW_LOSSES["dot"],
        np.ones((1, 1, 1)),
        np.ones((1, 1), bool),
        1,
    )
    np.testing.assert_allclose(gradients["layer0.b_h"], 1 / np.cosh(15.0) ** 2, rtol=1e-14)


TRUNCATIONS = [*(Detach(k) for k in (1, 2, 3, 4, 5, 8)), *(Window(k) for k in (0, 1, 2, 3, 4, 9))]


@pytest.mark.spread(2)
@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=str)
@pytest.mark.parametrize("chunk", [1, 10**9])
def test_truncated_it_is_the_gradient_by_lags(
    sized_net, assert_close, monkeypatch, derivations, layers, readout, chunk, truncation
):
    monkeypatch.setattr(complex_step, "CHUNK", chunk)
    problem = sized_net({"T": 5, "H": 2}, reduction="mean", layers=layers, readout=readout, steps=[0, 1, 3, 4])
    _, outputs, gradients = oracle(problem, truncation)
    for derivation in derivations:
        assert_close(gradients, problem.solve(derivation, truncation)[2], 1e-13)
    np.testing.assert_array_equal(outputs, oracle(problem)[1])


@pytest.mark.spread(2)
@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=str)
@pytest.mark.parametrize("T", [1, 2, 5, 7])
def test_the_loss_of_each_step_counts_once_and_reaches_as_far_as_it_should(truncation, T):
    reached = {}
    for chunks, counted in passes(truncation, T):
        assert [step for chunk in chunks for step in range(*chunk)] == list(range(T))
        for first, last in chunks:
            for t in range(first, last):
                if counted[t]:
                    assert t not in reached
                    reached[t] = first
    k = truncation.every if isinstance(truncation, Detach) else truncation.steps
    expected = {t: t // k * k if isinstance(truncation, Detach) else max(0, t - k) for t in range(T)}
    assert reached == expected
