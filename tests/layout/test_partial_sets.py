"""The tensors of a partial set convert, whatever else is missing."""

from itertools import combinations

import numpy as np
import pytest

from harness.layout import layouts
from harness.tensors import Structure

STRUCTURE = Structure("rnn", layers=2, batch=1, time=1, input=2, hidden=3, output=4)


def numbers(shapes):
    random = np.random.default_rng(9)
    return {name: random.normal(size=shape) for name, shape in shapes.items()}


def full(layout):
    gradients = numbers(STRUCTURE.weights)
    return layouts()[layout].gradients_from_canonical(gradients, STRUCTURE), gradients


def subset_of(tensors, expected):
    assert tensors.keys() <= expected.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, expected[name])


@pytest.mark.parametrize("layout", layouts())
def test_nothing_converts_to_nothing(layout):
    assert layouts()[layout].to_canonical({}, STRUCTURE) == {}
    assert layouts()[layout].gradients_to_canonical({}, STRUCTURE) == {}


@pytest.mark.parametrize("layout", layouts())
def test_each_gradient_alone_converts(layout):
    given, expected = full(layout)
    seen = set()
    for name, tensor in given.items():
        alone = layouts()[layout].gradients_to_canonical({name: tensor}, STRUCTURE)
        assert alone, name
        subset_of(alone, expected)
        seen |= alone.keys()
    assert seen == expected.keys()


@pytest.mark.parametrize("layout", layouts())
def test_each_pair_of_gradients_converts_to_what_its_members_do(layout):
    given, expected = full(layout)
    for pair in combinations(given, 2):
        together = layouts()[layout].gradients_to_canonical({name: given[name] for name in pair}, STRUCTURE)
        subset_of(together, expected)
        alone = [layouts()[layout].gradients_to_canonical({name: given[name]}, STRUCTURE) for name in pair]
        assert together.keys() == alone[0].keys() | alone[1].keys()


@pytest.mark.parametrize("layout", layouts())
def test_all_but_one_weight_convert(layout):
    expected = numbers(STRUCTURE.weights)
    given = layouts()[layout].from_canonical(expected, STRUCTURE)
    for missing in given:
        rest = {name: tensor for name, tensor in given.items() if name != missing}
        converted = layouts()[layout].to_canonical(rest, STRUCTURE)
        subset_of(converted, expected)
        alone = layouts()[layout].gradients_to_canonical({missing: given[missing]}, STRUCTURE)
        assert converted.keys() == expected.keys() - alone.keys()


def test_half_of_a_pair_of_biases_is_no_bias():
    """Unlike a gradient, of which each of the two is the whole."""
    half = {"bias_ih_l0": np.ones(3)}
    assert layouts()["torch"].to_canonical(half, STRUCTURE) == {}
    np.testing.assert_array_equal(layouts()["torch"].gradients_to_canonical(half, STRUCTURE)["layer0.b_h"], np.ones(3))
