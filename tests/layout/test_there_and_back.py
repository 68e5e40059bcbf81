"""Complete sets of weights of every cell convert to each layout and back without a change, both directions of them."""

import numpy as np
import pytest

from harness.layout import layouts
from harness.tensors import GATES, Structure


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("reset", ["after", "before"])
@pytest.mark.parametrize("cell", GATES)
def test_weights_and_gradients_there_and_back(layout, cell, reset, directions):
    structure = Structure(cell, 2, batch=1, time=1, input=2, hidden=3, output=4, reset=reset, directions=directions)
    random = np.random.default_rng(5)
    # Whole numbers: tf1 stores the forget gates' biases less 1, which is exact for them.
    there = {name: random.integers(-99, 99, shape).astype(float) for name, shape in structure.weights.items()}
    its = layouts()[layout]
    for back in (
        its.to_canonical(its.from_canonical(there, structure), structure),
        its.gradients_to_canonical(its.gradients_from_canonical(there, structure), structure),
    ):
        assert back.keys() == there.keys()
        for name, tensor in there.items():
            np.testing.assert_array_equal(back[name], tensor, err_msg=name)
