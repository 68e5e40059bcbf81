"""The last states of a layer are the initial states of the next piece of the sequence."""

import numpy as np
import pytest

T = 5


def assert_in_two_pieces(problem, layer, cut):
    _, weights, inputs, initial_state, activation = problem.arguments(layer)
    of_layer = {name: weights[f"layer0.{name}"] for name in layer.WEIGHTS}
    x = inputs.swapaxes(0, 1)  # (T, B, I)

    def run(x, states):
        return layer.forward(x.copy(), *states, of_layer, activation=activation)

    whole, first = run(x, initial_state.values()), run(x[:cut], initial_state.values())
    second = run(x[cut:], first.last)
    np.testing.assert_allclose(np.concatenate([first.outputs, second.outputs]), whole.outputs, rtol=1e-13, atol=1e-15)
    for ours, wanted in zip(second.last, whole.last, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("cut", range(1, T))
def test_of_the_plain_cell(sized_net, derivation, cut):
    assert_in_two_pieces(sized_net({"T": T}), derivation, cut)


@pytest.mark.parametrize("cut", range(1, T))
def test_of_a_gated_cell(sized_net, cell, gated, cut):
    assert_in_two_pieces(sized_net({"T": T}, cell=cell), gated, cut)
