"""Layers stack whatever states and weights they have: shown with one whose gradients can be counted on the fingers."""

from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest

from reference_impls import network, rnn_split
from reference_impls.activations import ACTIVATIONS
from reference_impls.layer import Layer

Cache = namedtuple("Cache", "line outputs v")


def _forward(x, p0, q0, weights, *, activation, scale=1):
    v = weights["v"]
    line = np.concatenate([p0[None], q0[None], x])
    return Cache(line, scale * v * line[: len(x)], scale * v)


def _backward(cache, d_outputs):
    d_line = np.zeros_like(cache.line)
    d_line[: len(d_outputs)] = cache.v * d_outputs
    return d_line[2:], d_line[0], d_line[1], {"v": (cache.line[:-2] * d_outputs).sum(axis=(0, 1))}


# What comes in goes out two steps later, times v; at the first two steps its two states go out.
TWO_STEPS_LATER = Layer(("v",), ("p0", "q0"), _forward, _backward)


@pytest.fixture
def given():
    random = np.random.default_rng(3)
    weights = {f"layer{n}.v": random.integers(1, 5, 2).astype(float) for n in range(2)}
    states = {
        f"layer{n}.{name}": random.integers(1, 9, (3, 2)).astype(float) for n in range(2) for name in ("p0", "q0")
    }
    return weights, random.integers(1, 9, (3, 7, 2)).astype(float), states, ACTIVATIONS["identity"]


def test_two_states_a_layer(given):
    weights, inputs, states, _ = given
    v0, v1 = weights["layer0.v"], weights["layer1.v"]
    u = np.random.default_rng(4).integers(1, 9, inputs.shape).astype(float)
    passed = network.forward(TWO_STEPS_LATER, *given)
    outputs, gradients = passed.outputs, network.backward(TWO_STEPS_LATER, weights, passed, u)
    first_steps = [v1 * states["layer1.p0"], v1 * states["layer1.q0"]]
    first_steps += [v1 * v0 * states["layer0.p0"], v1 * v0 * states["layer0.q0"]]
    np.testing.assert_array_equal(outputs[:, :4].swapaxes(0, 1), first_steps)
    np.testing.assert_array_equal(outputs[:, 4:], v1 * v0 * inputs[:, :3])
    assert gradients.keys() == weights.keys() | states.keys() | {"inputs"}
    np.testing.assert_array_equal(gradients["layer1.p0"], v1 * u[:, 0])
    np.testing.assert_array_equal(gradients["layer1.q0"], v1 * u[:, 1])
    np.testing.assert_array_equal(gradients["layer0.p0"], v1 * v0 * u[:, 2])
    np.testing.assert_array_equal(gradients["layer0.q0"], v1 * v0 * u[:, 3])
    np.testing.assert_array_equal(gradients["inputs"][:, :3], v1 * v0 * u[:, 4:])
    assert not gradients["inputs"][:, 3:].any()
    np.testing.assert_array_equal(gradients["layer1.v"], (outputs / v1 * u).sum(axis=(0, 1)))


def test_a_layer_that_does_not_name_its_states_has_h0_alone(net):
    problem = net("tanh", layers=2)
    silent = SimpleNamespace(WEIGHTS=rnn_split.WEIGHTS, forward=rnn_split.forward, backward=rnn_split.backward)
    expected = problem.solve(rnn_split)[2]
    gradients = problem.solve(silent)[2]
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        np.testing.assert_array_equal(gradients[name], gradient)


def test_what_else_a_layer_takes_reaches_every_layer(given):
    once = network.forward(TWO_STEPS_LATER, *given).outputs
    np.testing.assert_array_equal(network.forward(TWO_STEPS_LATER, *given, scale=3).outputs[:, :2], 3 * once[:, :2])
    np.testing.assert_array_equal(network.forward(TWO_STEPS_LATER, *given, scale=3).outputs[:, 2:], 9 * once[:, 2:])


@pytest.mark.parametrize("missing", ["layer0.p0", "layer1.q0", "layer0.v", "layer1.v"])
def test_what_is_missing_is_named(given, missing):
    weights, inputs, states, activation = given
    weights.pop(missing, None)
    states.pop(missing, None)
    with pytest.raises(KeyError, match=missing):
        network.forward(TWO_STEPS_LATER, weights, inputs, states, activation)
