"""Some of the gradient from the forward pass alone: the same numbers that all of it has."""

import numpy as np
import pytest

from reference_impls import complex_step, complex_step_sampled, network, rnn_split
from reference_impls.activations import ACTIVATIONS
from reference_impls.truncation import Detach, Window


@pytest.fixture(params=[1, 2**14], ids="chunk={}".format)
def chunk(request, monkeypatch):
    monkeypatch.setattr(complex_step_sampled, "CHUNK", request.param)


@pytest.mark.spread(2)
def test_chosen_elements_are_those_of_the_whole(net, chunk, activation, layers, readout, loss):
    problem = net(activation, loss, "mean", layers, readout)
    _, _, expected = complex_step.gradients(*problem.for_oracle())
    _, state = complex_step.perturbed(*problem.for_oracle())

    def same(found, wanted, name):
        assert found.shape == wanted.shape, name
        assert np.abs(found - wanted).max() <= 1e-14 * np.abs(expected[name]).max(), name

    for n in range(layers):
        I, H = problem.weights[f"layer{n}.W_xh"].shape
        i, h, j = np.array([I - 1, 0, 1]), np.array([H - 1, 0, 1]), np.array([0, H - 1, 1])
        same(complex_step_sampled.of_weights(state, n, i, j), expected[f"layer{n}.W_xh"][i, j], f"layer{n}.W_xh")
        same(complex_step_sampled.of_weights(state, n, I + h, j), expected[f"layer{n}.W_hh"][h, j], f"layer{n}.W_hh")
        bias = np.full(3, I + H)
        same(complex_step_sampled.of_weights(state, n, bias, j), expected[f"layer{n}.b_h"][j], f"layer{n}.b_h")
        same(complex_step_sampled.of_initial_state(state, n, j), expected[f"layer{n}.h0"][:, j], f"layer{n}.h0")
    t, i = np.array([2, 0, 1]), np.array([1, 3, 3])
    same(complex_step_sampled.of_inputs(state, t, i), expected["inputs"][:, t, i], "inputs")
    for name, gradient in complex_step.of_readout(state).items():
        np.testing.assert_array_equal(gradient, expected[name])


@pytest.mark.spread(2)
def test_a_directional_derivative_is_the_inner_product_with_the_gradient(
    net, activation, layers, readout, loss, reduction
):
    problem = net(activation, loss, reduction, layers, readout)
    _, _, gradients = complex_step.gradients(*problem.for_oracle())
    random = np.random.default_rng(3)
    direction = {name: random.normal(size=array.shape) for name, array in problem.given.items()}
    found = complex_step_sampled.along(direction, *problem.for_oracle())
    products = [(gradients[name] * direction[name]).sum() for name in gradients]
    assert found == pytest.approx(sum(products), rel=0, abs=1e-13 * sum(map(abs, products)))


@pytest.mark.spread(2)
@pytest.mark.parametrize("truncation", [Detach(2), Detach(5), Window(0), Window(1), Window(3), Window(4)], ids=str)
def test_of_a_truncated_gradient_they_are_those_of_the_whole(sized_net, chunk, layers, readout, truncation):
    problem = sized_net({"T": 5}, reduction="mean", layers=layers, readout=readout)
    _, _, gradients = complex_step.gradients(*problem.for_oracle(), truncation)
    _, state = complex_step.perturbed(*problem.for_oracle(), truncation)
    t, i = np.array([4, 0, 3]), np.array([1, 3, 3])
    found = complex_step_sampled.of_inputs(state, t, i)
    np.testing.assert_allclose(found, gradients["inputs"][:, t, i], rtol=1e-12, atol=1e-14)
    for n in range(layers):
        rows, units = np.array([0, 2, 3]), np.array([0, 2, 1])
        found = complex_step_sampled.of_weights(state, n, rows, units)
        parts = [gradients[f"layer{n}.{name}"] for name in ("W_xh", "W_hh")]
        np.testing.assert_allclose(found, np.concatenate(parts)[rows, units], rtol=1e-12, atol=1e-14)
        found = complex_step_sampled.of_initial_state(state, n, units)
        np.testing.assert_allclose(found, gradients[f"layer{n}.h0"][:, units], rtol=1e-12, atol=1e-14)
    random = np.random.default_rng(3)
    direction = {name: random.normal(size=array.shape) for name, array in problem.given.items()}
    products = [(gradients[name] * direction[name]).sum() for name in gradients]
    along = complex_step_sampled.along(direction, *problem.for_oracle(), truncation)
    assert along == pytest.approx(sum(products), rel=0, abs=1e-13 * sum(map(abs, products)))


def test_an_error_anywhere_changes_it(net):
    problem = net("tanh", layers=2, readout=True)
    _, _, gradients = complex_step.gradients(*problem.for_oracle())
    random = np.random.default_rng(4)
    direction = {name: random.normal(size=array.shape) for name, array in problem.given.items()}
    found = complex_step_sampled.along(direction, *problem.for_oracle())
    for name, gradient in gradients.items():
        wrong = {**gradients, name: gradient * 1.001}
        assert abs(found - sum((wrong[each] * direction[each]).sum() for each in wrong)) > 1e-9, name


def test_no_backward_code_takes_part(net, monkeypatch):
    def forbidden(*_):
        raise AssertionError("the oracle called backward code")

    problem = net("tanh", layers=2, readout=True)
    direction = {name: np.ones_like(array) for name, array in problem.given.items()}
    expected = complex_step_sampled.along(direction, *problem.for_oracle())
    monkeypatch.setattr(rnn_split, "backward", forbidden)
    monkeypatch.setattr(network, "backward", forbidden)
    monkeypatch.setattr(network.readout, "backward", forbidden)
    for name, each in {name: each._replace(slope_at_value=forbidden) for name, each in ACTIVATIONS.items()}.items():
        monkeypatch.setitem(ACTIVATIONS, name, each)
    assert complex_step_sampled.along(direction, *problem.for_oracle()) == expected
    _, state = complex_step.perturbed(*problem.for_oracle())
    assert complex_step_sampled.of_weights(state, 0, np.array([0]), np.array([1])).shape == (1,)
