"""The gradient of any network from the forward pass alone, with sequences of unequal length and in both directions."""

import numpy as np
import pytest

from reference_impls import complex_step_gated as oracle
from reference_impls import gru_split, lstm_split, rnn_split
from reference_impls.bidirectional import both_ways
from reference_impls.lengths import of_lengths
from reference_impls.truncation import Detach, Window

LENGTHS = np.array([2, 4, 1])
SIZES = {"B": 3, "T": 4, "I": 2, "H": 2, "O": 3}
LAYERS = {
    "rnn": rnn_split,
    "lstm": lstm_split,
    "gru, reset after": gru_split.RESETS["after"],
    "gru, reset before": gru_split.RESETS["before"],
}


def by_hand(cell, directions, ends):
    layer = both_ways(LAYERS[cell]) if directions == 2 else LAYERS[cell]
    return layer if ends is None else of_lengths(layer, ends)


def perturbed(problem, cell, ends, truncation=None):
    return oracle.forward(cell.partition(",")[0], *problem.for_oracle(), truncation, ends)


def assert_by_hand(problem, assert_close, cell, directions, ends, truncation=None):
    value, outputs, state = perturbed(problem, cell, ends, truncation)
    gradients = oracle.gradients(state)
    expected_value, expected_outputs, expected = problem.solve(by_hand(cell, directions, ends), truncation)
    assert float(value) == pytest.approx(float(expected_value), rel=1e-13)
    np.testing.assert_allclose(outputs, expected_outputs, rtol=1e-13, atol=1e-15)
    assert_close(gradients, expected, 1e-13)
    random = np.random.default_rng(2)
    direction = {name: random.normal(size=gradient.shape) for name, gradient in gradients.items()}
    products = [(expected[name] * direction[name]).sum() for name in expected]
    assert oracle.along(state, direction) == pytest.approx(sum(products), rel=0, abs=1e-13 * sum(map(abs, products)))


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("ends", [None, LENGTHS], ids=["equal", "unequal"])
def test_it_is_the_gradient_by_hand(sized_net, assert_close, cell, directions, ends, readout):
    problem = sized_net(SIZES, layers=2, readout=readout, cell=cell, directions=directions, lengths=ends)
    assert_by_hand(problem, assert_close, cell, directions, ends)


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("truncation", [Detach(2), Window(1)], ids=str)
@pytest.mark.parametrize("ends", [None, LENGTHS], ids=["equal", "unequal"])
def test_truncated_it_is_the_gradient_by_hand(sized_net, assert_close, cell, truncation, ends):
    problem = sized_net(SIZES, layers=2, readout=True, cell=cell, lengths=ends)
    assert_by_hand(problem, assert_close, cell, 1, ends, truncation)


def test_chosen_elements_of_each_direction_are_those_of_the_whole(sized_net):
    problem = sized_net(SIZES, layers=2, readout=True, cell="lstm", directions=2, lengths=LENGTHS)
    _, _, state = perturbed(problem, "lstm", LENGTHS)
    whole = oracle.gradients(state)
    rows, columns = np.array([1, 0]), np.array([2, 0])
    for name in ("layer0.W_xh", "layer1.reverse.W_hh", "layer1.reverse.W_xh", "readout.W_hy"):
        np.testing.assert_array_equal(oracle.of_weight(state, name, rows, columns), whole[name][rows, columns])
    np.testing.assert_array_equal(
        oracle.of_weight(state, "readout.b_y", 0 * rows, columns), whole["readout.b_y"][columns]
    )
    for name in problem.initial_state:
        np.testing.assert_array_equal(oracle.of_initial_state(state, name, np.array([1])), whole[name][:, [1]])
