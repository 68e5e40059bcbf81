"""Places of the gates, their biases and the forget bias in each layout, written out with numbers that all differ."""

import numpy as np
import pytest

from harness.layout import layouts
from harness.tensors import Structure

I, H = 2, 3
LSTM = Structure("lstm", layers=2, batch=1, time=1, input=I, hidden=H, output=None)
AFTER = Structure("gru", layers=2, batch=1, time=1, input=I, hidden=H, output=None, reset="after")
BEFORE = Structure("gru", layers=2, batch=1, time=1, input=I, hidden=H, output=None, reset="before")

RNN = Structure("rnn", layers=2, batch=1, time=1, input=I, hidden=H, output=None)


def told(structure, gates):
    """Weights whose every element is the number of its gate."""
    of_gates = np.repeat(np.arange(1.0, 1 + gates), H)
    weights = {
        name: np.broadcast_to(of_gates, shape).copy() for name, shape in structure.weights.items() if shape[-1] != H
    }
    return weights | {name: np.full(shape, 9.0) for name, shape in structure.weights.items() if shape[-1] == H}


def blocks(tensor):
    """The number of each block of columns, which must be the same in all of it."""
    columns = np.split(tensor, tensor.shape[-1] // H, axis=-1)
    assert all((each == each.flat[0]).all() for each in columns)
    return [float(each.flat[0]) for each in columns]


@pytest.mark.parametrize(
    ("layout", "structure", "order"),
    [
        ("split", LSTM, [1, 2, 3, 4]),
        ("concatenated", LSTM, [1, 2, 3, 4]),
        ("torch", LSTM, [1, 2, 3, 4]),
        ("keras", LSTM, [1, 2, 3, 4]),
        ("tf1", LSTM, [1, 3, 2, 4]),
        ("split", AFTER, [1, 2, 3]),
        ("concatenated", BEFORE, [1, 2, 3]),
        ("torch", AFTER, [1, 2, 3]),
        ("keras", AFTER, [2, 1, 3]),
        ("keras", BEFORE, [2, 1, 3]),
        ("tf1", BEFORE, [1, 2, 3]),
        ("onnx", LSTM, [1, 4, 2, 3]),
        ("onnx", AFTER, [2, 1, 3]),
        ("onnx", BEFORE, [2, 1, 3]),
    ],
)
def test_the_order_of_the_gates(layout, structure, order):
    converted = layouts()[layout].from_canonical(told(structure, len(order)), structure)
    for name, tensor in converted.items():
        if layout == "onnx":
            assert name.endswith(".B") or blocks(tensor[0].T) == order, name
        elif tensor.ndim == 2 and "bias" not in name:
            assert blocks(tensor.T if layout == "torch" else tensor) == order, name


@pytest.mark.parametrize(
    ("structure", "gates", "side_of_bias"), [(LSTM, "ifgo", "h"), (AFTER, "rzn", "i"), (BEFORE, "rzn", "i")]
)
def test_flax_has_a_kernel_for_each_gate_and_its_bias_beside_one_of_two(structure, gates, side_of_bias):
    converted = layouts()["flax"].from_canonical(told(structure, len(gates)), structure)
    for number, gate in enumerate(gates, 1):
        for side, rows in (("i", H), ("h", H)):
            kernel = converted.pop(f"layer1.{side}{gate}.kernel")
            assert kernel.shape == (rows, H)
            assert (kernel == number).all()
        assert (converted.pop(f"layer1.{side_of_bias}{gate}.bias") == number).all()
    if structure is AFTER:
        assert (converted.pop("layer1.hn.bias") == 9).all()
    assert not [name for name in converted if name.startswith("layer1")]


def test_tf1_stores_the_forget_bias_less_one_in_the_third_block():
    weights = told(LSTM, 4)
    assert blocks(layouts()["tf1"].from_canonical(weights, LSTM)["layer1.bias"]) == [1, 3, 2 - 1, 4]
    stored = {"layer0.bias": np.zeros(4 * H)}
    assert blocks(layouts()["tf1"].to_canonical(stored, LSTM)["layer0.b_h"]) == [0, 1, 0, 0]
    assert blocks(layouts()["tf1"].gradients_from_canonical(weights, LSTM)["layer0.bias"]) == [1, 3, 2, 4]
    gradient = {"layer0.bias": np.repeat([1.0, 3.0, 2.0, 4.0], H)}
    assert blocks(layouts()["tf1"].gradients_to_canonical(gradient, LSTM)["layer0.b_h"]) == [1, 2, 3, 4]


@pytest.mark.parametrize("structure", [BEFORE, AFTER, RNN], ids=["gru before", "gru after", "rnn"])
def test_tf1_stores_the_biases_of_what_has_no_forget_gate_as_they_are(structure):
    weights = told(structure, structure.weights["layer0.b_h"][0] // H)
    stored = layouts()["tf1"].from_canonical(weights, structure)
    for n in range(2):
        np.testing.assert_array_equal(stored[f"layer{n}.bias"], weights[f"layer{n}.b_h"])


def test_a_forget_bias_that_a_float_can_hold_less_one_comes_back_to_the_bit():
    bias = np.array([0.5, 0.7, 1.0, 1.3, 2.0])
    assert ((bias - 1) + 1 == bias).all()
    small = (np.float64(0.1) - 1) + 1
    assert 0 < abs(small - 0.1) <= np.spacing(1.0) / 2


@pytest.mark.parametrize("structure", [AFTER, BEFORE], ids=lambda each: each.reset)
def test_the_second_bias_of_the_candidate_stays_what_it_is(structure):
    weights = told(structure, 3)
    in_torch = layouts()["torch"].from_canonical(weights, structure)
    first, second = in_torch["bias_ih_l1"], in_torch["bias_hh_l1"]
    if structure.reset == "after":
        assert blocks(first) == [2, 4, 3]
        assert blocks(second) == [-1, -2, 9]
        rows = layouts()["keras"].from_canonical(weights, structure)["layer1.bias"]
        assert rows.shape == (2, 3 * H)
        assert blocks(rows[0]) == [4, 2, 3]
        assert blocks(rows[1]) == [-2, -1, 9]
        assert blocks(layouts()["onnx"].from_canonical(weights, structure)["layer1.B"][0]) == [4, 2, 3, -2, -1, 9]
    else:
        assert blocks(first + second) == [1, 2, 3]
        assert blocks(layouts()["keras"].from_canonical(weights, structure)["layer1.bias"]) == [2, 1, 3]
        pair = layouts()["onnx"].from_canonical(weights, structure)["layer1.B"][0]
        assert blocks(pair[: 3 * H] + pair[3 * H :]) == [2, 1, 3]


def test_of_one_gradient_of_a_grus_pair_what_follows_from_it_follows():
    torch = layouts()["torch"]
    gradient = np.arange(1.0, 1 + 3 * H)
    np.testing.assert_array_equal(torch.gradients_to_canonical({"bias_ih_l0": gradient}, AFTER)["layer0.b_h"], gradient)
    alone = torch.gradients_to_canonical({"bias_hh_l0": gradient}, AFTER)
    assert alone.keys() == {"layer0.b_hn"}
    np.testing.assert_array_equal(alone["layer0.b_hn"], gradient[2 * H :])


def told_together(layout, given):
    """The names of which canonical tensors follow: each one, or, where each gate has its own, those of all gates."""
    if layout != "flax":
        return [[name] for name in given]
    groups = {}
    for name in given:
        layer, gate, kind = name.split(".")
        is_recurrent_bias = (gate, kind) == ("hn", "bias") and f"{layer}.hr.bias" not in given
        groups.setdefault((layer, gate if is_recurrent_bias else gate[0], kind), []).append(name)
    return list(groups.values())


@pytest.mark.parametrize("layout", layouts())
@pytest.mark.parametrize("structure", [LSTM, AFTER, BEFORE], ids=["lstm", "gru, after", "gru, before"])
def test_each_gradient_alone_is_what_it_is_among_all(layout, structure):
    random = np.random.default_rng(9)
    expected = {name: random.normal(size=shape) for name, shape in structure.weights.items()}
    given = layouts()[layout].gradients_from_canonical(expected, structure)
    seen = {}
    for names in told_together(layout, given):
        alone = layouts()[layout].gradients_to_canonical({name: given[name] for name in names}, structure)
        assert alone, names
        seen |= alone
    assert seen.keys() == expected.keys()
    for name, tensor in seen.items():
        np.testing.assert_array_equal(tensor, expected[name])
    assert layouts()[layout].to_canonical({}, structure) == {}


def test_of_one_gate_alone_nothing_follows_in_flax():
    """A canonical tensor has the blocks of all gates."""
    kernels = {f"layer0.i{gate}.kernel": np.ones((I, H)) for gate in "ifg"}
    assert layouts()["flax"].gradients_to_canonical(kernels, LSTM) == {}
