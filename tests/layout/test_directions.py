"""Names of the two directions of a bidirectional layer in each layout, and the contents of each tensor."""

import numpy as np
import pytest

from harness.layout import layouts
from harness.tensors import Structure

B, T, I, H, O = 7, 11, 2, 3, 5
STRUCTURE = Structure("lstm", layers=2, batch=B, time=T, input=I, hidden=H, output=O, directions=2)
GRU = Structure("gru", layers=1, batch=B, time=T, input=I, hidden=H, output=None, directions=2)

MATRICES = {
    "split": ("{}.W_xh", "{}.W_hh", ("layer0", "layer0.reverse", "layer1", "layer1.reverse")),
    "keras": (
        "{}.kernel",
        "{}.recurrent_kernel",
        ("layer0.forward", "layer0.backward", "layer1.forward", "layer1.backward"),
    ),
    "flax": (
        "{}.io.kernel",
        "{}.ho.kernel",
        ("layer0.forward", "layer0.backward", "layer1.forward", "layer1.backward"),
    ),
    "torch": ("weight_ih_{}", "weight_hh_{}", ("l0", "l0_reverse", "l1", "l1_reverse")),
}
STACKED = {
    "concatenated": ("{}.W", ("layer0", "layer0.reverse", "layer1", "layer1.reverse")),
    "tf1": ("{}.kernel", ("layer0.fw", "layer0.bw", "layer1.fw", "layer1.bw")),
}


def weights_of(structure):
    random = np.random.default_rng(5)
    return {name: random.normal(size=shape) for name, shape in structure.weights.items()}


def test_the_canonical_tensors():
    assert STRUCTURE.blocks == ("layer0", "layer0.reverse", "layer1", "layer1.reverse")
    assert STRUCTURE.weights["layer0.reverse.W_xh"] == (I, 4 * H)
    assert STRUCTURE.weights["layer1.W_xh"] == STRUCTURE.weights["layer1.reverse.W_xh"] == (2 * H, 4 * H)
    assert STRUCTURE.weights["layer1.reverse.W_hh"] == (H, 4 * H)
    assert STRUCTURE.weights["readout.W_hy"] == (2 * H, O)
    assert STRUCTURE.initial_state["layer1.reverse.c0"] == (B, H)
    assert GRU.outputs == (B, T, 2 * H)


def test_the_tenth_layer_reads_what_the_first_does_not():
    deep = Structure("rnn", layers=11, batch=B, time=T, input=I, hidden=H, output=None, directions=2)
    assert deep.input_size("layer0.reverse") == I
    assert deep.input_size("layer10") == deep.input_size("layer10.reverse") == 2 * H


@pytest.mark.parametrize("layout", MATRICES)
def test_each_direction_has_its_own_matrices(layout):
    weights = weights_of(STRUCTURE)
    converted = layouts()[layout].from_canonical(weights, STRUCTURE)
    of_inputs, of_state, names = MATRICES[layout]
    for block, name in zip(STRUCTURE.blocks, names, strict=True):
        for canonical, pattern in (("W_xh", of_inputs), ("W_hh", of_state)):
            expected = weights[f"{block}.{canonical}"][:, 3 * H if layout == "flax" else 0 :]
            actual = converted[pattern.format(name)]
            np.testing.assert_array_equal(actual.T if layout == "torch" else actual, expected)


@pytest.mark.parametrize("layout", STACKED)
def test_each_direction_has_its_own_stacked_matrix(layout):
    weights = weights_of(STRUCTURE)
    converted = layouts()[layout].from_canonical(weights, STRUCTURE)
    pattern, names = STACKED[layout]
    for block, name in zip(STRUCTURE.blocks, names, strict=True):
        matrix = converted[pattern.format(name)]
        stacked = np.concatenate([weights[f"{block}.W_xh"], weights[f"{block}.W_hh"]])
        order = [0, 2, 1, 3] if layout == "tf1" else [0, 1, 2, 3]
        np.testing.assert_array_equal(matrix, np.concatenate([np.split(stacked, 4, -1)[k] for k in order], -1))


def test_onnx_has_both_directions_in_one_tensor():
    weights = weights_of(STRUCTURE)
    converted = layouts()["onnx"].from_canonical(weights, STRUCTURE)
    assert {name: array.shape for name, array in converted.items() if name.startswith("layer1")} == {
        "layer1.W": (2, 4 * H, 2 * H),
        "layer1.R": (2, 4 * H, H),
        "layer1.B": (2, 8 * H),
    }
    for d, block in enumerate(("layer1", "layer1.reverse")):
        for canonical, name in (("W_xh", "W"), ("W_hh", "R")):
            in_order = [np.split(weights[f"{block}.{canonical}"], 4, -1)[k] for k in (0, 3, 1, 2)]
            np.testing.assert_array_equal(converted[f"layer1.{name}"][d].T, np.concatenate(in_order, -1))
        i, o, f, c = np.split(converted["layer1.B"][d, : 4 * H] + converted["layer1.B"][d, 4 * H :], 4)
        np.testing.assert_array_equal(np.concatenate([i, f, c, o]), weights[f"{block}.b_h"])


def test_tf1_adds_the_forget_bias_in_both_directions():
    weights = weights_of(STRUCTURE)
    converted = layouts()["tf1"].from_canonical(weights, STRUCTURE)
    for block, name in (("layer1", "layer1.fw"), ("layer1.reverse", "layer1.bw")):
        np.testing.assert_array_equal(converted[f"{name}.bias"][2 * H : 3 * H], weights[f"{block}.b_h"][H : 2 * H] - 1)


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("torch", ("bias_hh_l0", "bias_hh_l0_reverse")),
        ("keras", ("layer0.forward.bias", "layer0.backward.bias")),
        ("flax", ("layer0.forward.hn.bias", "layer0.backward.hn.bias")),
    ],
)
def test_the_candidates_recurrent_bias_is_that_of_its_direction(layout, names):
    weights = weights_of(GRU)
    converted = layouts()[layout].from_canonical(weights, GRU)
    for block, name in zip(GRU.blocks, names, strict=True):
        bias = converted[name][1] if layout == "keras" else converted[name]  # (3H,), or (H,) of flax
        np.testing.assert_array_equal(bias[-H:], weights[f"{block}.b_hn"])
