"""Gradients convert by the chain rule through the conversion of the weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.layout import layouts
from harness.tensors import GATES, Structure


def whole_numbers(random, shapes):
    """Small ones, so that sums and products are exact."""
    return {name: random.integers(-9, 10, shape).astype(float) for name, shape in shapes.items()}


def inner(first, second):
    assert first.keys() == second.keys()
    return sum(float((first[name] * second[name]).sum()) for name in first)


@pytest.mark.parametrize("layout", layouts())
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    cell=st.sampled_from(sorted(GATES)),
    reset=st.sampled_from(["after", "before"]),
    layers=st.integers(1, 3),
    sizes=st.tuples(*[st.integers(1, 4)] * 4),
    output=st.none() | st.integers(1, 4),
    directions=st.integers(1, 2),
    seed=st.integers(0, 2**32),
)
def test_a_move_of_the_weights_changes_the_loss_alike_in_both_layouts(
    layout, cell, reset, layers, sizes, output, directions, seed
):
    """⟨gradient in the layout, move converted⟩ = ⟨gradient converted back, move⟩, for any gradient and any move.

    The gradient need not come from a network: torch's two biases have two unrelated gradients here.
    """
    structure = Structure(cell, layers, *sizes, output, reset, directions)
    random = np.random.default_rng(seed)
    move = whole_numbers(random, structure.weights)
    gradient = whole_numbers(random, layouts()[layout].shapes(structure))
    start = layouts()[layout].from_canonical({name: 0 * array for name, array in move.items()}, structure)
    end = layouts()[layout].from_canonical(move, structure)
    converted_move = {name: array - start[name] for name, array in end.items()}  # tf1 stores some biases less 1
    converted_gradient = layouts()[layout].gradients_to_canonical(gradient, structure)
    assert inner(gradient, converted_move) == inner(converted_gradient, move)
