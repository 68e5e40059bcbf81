"""Which layouts there are, and each one's names and shapes, written out."""

import numpy as np
import pytest

from harness.layout import layouts
from harness.tensors import Structure

STRUCTURE = Structure("rnn", layers=2, batch=7, time=11, input=2, hidden=3, output=5)

EXPECTED = {
    "split": {
        "layer0.W_xh": (2, 3),
        "layer0.W_hh": (3, 3),
        "layer0.b_h": (3,),
        "layer1.W_xh": (3, 3),
        "layer1.W_hh": (3, 3),
        "layer1.b_h": (3,),
        "readout.W_hy": (3, 5),
        "readout.b_y": (5,),
    },
    "concatenated": {
        "layer0.W": (5, 3),
        "layer0.b": (3,),
        "layer1.W": (6, 3),
        "layer1.b": (3,),
        "readout.W_hy": (3, 5),
        "readout.b_y": (5,),
    },
    "torch": {
        "weight_ih_l0": (3, 2),
        "weight_hh_l0": (3, 3),
        "bias_ih_l0": (3,),
        "bias_hh_l0": (3,),
        "weight_ih_l1": (3, 3),
        "weight_hh_l1": (3, 3),
        "bias_ih_l1": (3,),
        "bias_hh_l1": (3,),
        "readout.weight": (5, 3),
        "readout.bias": (5,),
    },
    "keras": {
        "layer0.kernel": (2, 3),
        "layer0.recurrent_kernel": (3, 3),
        "layer0.bias": (3,),
        "layer1.kernel": (3, 3),
        "layer1.recurrent_kernel": (3, 3),
        "layer1.bias": (3,),
        "readout.kernel": (3, 5),
        "readout.bias": (5,),
    },
    "flax": {
        "layer0.i.kernel": (2, 3),
        "layer0.h.kernel": (3, 3),
        "layer0.i.bias": (3,),
        "layer1.i.kernel": (3, 3),
        "layer1.h.kernel": (3, 3),
        "layer1.i.bias": (3,),
        "readout.kernel": (3, 5),
        "readout.bias": (5,),
    },
    "onnx": {
        "layer0.W": (1, 3, 2),
        "layer0.R": (1, 3, 3),
        "layer0.B": (1, 6),
        "layer1.W": (1, 3, 3),
        "layer1.R": (1, 3, 3),
        "layer1.B": (1, 6),
        "readout.W": (3, 5),
        "readout.B": (5,),
    },
    "tf1": {
        "layer0.kernel": (5, 3),
        "layer0.bias": (3,),
        "layer1.kernel": (6, 3),
        "layer1.bias": (3,),
        "readout.kernel": (3, 5),
        "readout.bias": (5,),
    },
}


def test_the_layouts_of_the_contract_are_found():
    assert EXPECTED.keys() <= layouts().keys()
    assert all(layout.name == name for name, layout in layouts().items())


@pytest.mark.parametrize("layout", EXPECTED)
def test_names_and_shapes(layout):
    assert layouts()[layout].shapes(STRUCTURE) == EXPECTED[layout]


@pytest.mark.parametrize("layout", layouts())
def test_a_network_without_readout_has_none_in_any_layout(layout):
    structure = Structure("rnn", layers=1, batch=1, time=1, input=2, hidden=3, output=None)
    shapes = layouts()[layout].shapes(structure)
    assert shapes
    assert not any("readout" in name for name in shapes)


def canonical_numbers():
    """All elements different."""
    counted, numbers = 0, {}
    for name, shape in STRUCTURE.weights.items():
        size = int(np.prod(shape))
        numbers[name] = np.arange(counted, counted + size, dtype=np.float64).reshape(shape) + 1
        counted += size
    return numbers


def test_concatenated_has_the_input_rows_on_top():
    weights = canonical_numbers()
    for layout, matrix in (("concatenated", "W"), ("tf1", "kernel")):
        converted = layouts()[layout].from_canonical(weights, STRUCTURE)
        for n, I in enumerate((2, 3)):
            np.testing.assert_array_equal(converted[f"layer{n}.{matrix}"][:I], weights[f"layer{n}.W_xh"])
            np.testing.assert_array_equal(converted[f"layer{n}.{matrix}"][I:], weights[f"layer{n}.W_hh"])


def test_torch_has_every_matrix_transposed():
    weights = canonical_numbers()
    converted = layouts()["torch"].from_canonical(weights, STRUCTURE)
    for n in range(2):
        np.testing.assert_array_equal(converted[f"weight_ih_l{n}"], weights[f"layer{n}.W_xh"].T)
        np.testing.assert_array_equal(converted[f"weight_hh_l{n}"], weights[f"layer{n}.W_hh"].T)
    np.testing.assert_array_equal(converted["readout.weight"], weights["readout.W_hy"].T)


@pytest.mark.parametrize("layout", layouts())
def test_every_number_is_somewhere(layout):
    weights = canonical_numbers()
    converted = layouts()[layout].from_canonical(weights, STRUCTURE)
    there = np.concatenate([array.ravel() for array in converted.values()])
    for name, array in weights.items():
        sums = (
            there if layout not in ("torch", "onnx") or not name.endswith("b_h") else (there[:, None] + there).ravel()
        )
        assert np.isin(array, sums).all(), name
