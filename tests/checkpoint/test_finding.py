"""The recurrent layers of a file: found by name and shape, told when there are several, chosen by their path."""

# ruff: noqa: E501 - tables

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness.checkpoint import CheckpointRefused, find
from harness.checkpoint.formats import formats
from harness.checkpoint.naming import namings
from harness.layout import layouts
from harness.problem.checkpoint import of_checkpoint
from harness.tensors import Structure
from tests.checkpoint.files import FILES, LAYERS, NUMBERS


def torch_layer(path, layers=1, directions=("",), I=3, H=2, G=4):
    shapes = {}
    for n in range(layers):
        for each in directions:
            below = I if n == 0 else H * len(directions)
            shapes |= {f"{path}weight_ih_l{n}{each}": (G * H, below), f"{path}weight_hh_l{n}{each}": (G * H, H)}
            shapes |= {f"{path}bias_ih_l{n}{each}": (G * H,), f"{path}bias_hh_l{n}{each}": (G * H,)}
    return shapes


def keras_layer(path, I=3, H=2, G=4, bias=None):
    shapes = {f"{path}/cell/vars/0": (I, G * H), f"{path}/cell/vars/1": (H, G * H)}
    return shapes | ({} if bias == () else {f"{path}/cell/vars/2": bias or (G * H,)})


def tf1_layer(path, cell, I=3, H=2):
    if cell == "gru_cell":
        kernels = {"gates": 2 * H, "candidate": H}
        return {f"{path}/{cell}/{name}/{role}": (I + H, width) if role == "kernel" else (width,)
                for name, width in kernels.items() for role in ("kernel", "bias")}  # fmt: skip
    width = H if cell == "basic_rnn_cell" else 4 * H
    return {f"{path}/{cell}/kernel": (I + H, width), f"{path}/{cell}/bias": (width,)}


@pytest.fixture
def written(tmp_path):
    """Write tensors of these shapes, each with numbers of its own, and return the file."""

    def write(shapes, dtype="float32"):
        random = np.random.default_rng(0)
        path = tmp_path / "model.safetensors"
        save_file({name: random.uniform(-1, 1, shape).astype(dtype) for name, shape in shapes.items()}, path)
        return path

    return write


FOUND = {
    # tensors, path, layout, cell, layers, directions, input, hidden, reset
    "torch": (torch_layer(""), ".", "torch", "lstm", 1, 1, 3, 2, None),
    "torch_below_a_path": (torch_layer("encoder.rnn."), "encoder.rnn", "torch", "lstm", 1, 1, 3, 2, None),
    "torch_rnn": (torch_layer("", G=1), ".", "torch", "rnn", 1, 1, 3, 2, None),
    "torch_gru": (torch_layer("", G=3), ".", "torch", "gru", 1, 1, 3, 2, "after"),
    "torch_both_ways": (torch_layer("", 2, ("", "_reverse")), ".", "torch", "lstm", 2, 2, 3, 2, None),
    "torch_eleven_layers": (torch_layer("", 11), ".", "torch", "lstm", 11, 1, 3, 2, None),
    "torch_cell": (
        {name.removesuffix("_l0"): shape for name, shape in torch_layer("cell.").items()}, "cell", "torch", "lstm", 1, 1, 3, 2, None,
    ),
    "keras": (keras_layer("layers/lstm"), "layers/lstm", "keras", "lstm", 1, 1, 3, 2, None),
    "keras_gru_after": (keras_layer("g", G=3, bias=(2, 6)), "g", "keras", "gru", 1, 1, 3, 2, "after"),
    "keras_gru_before": (keras_layer("g", G=3), "g", "keras", "gru", 1, 1, 3, 2, "before"),
    "keras_beside_a_dense": (
        keras_layer("r", G=1) | {"d/vars/0": (2, 2), "d/vars/1": (2,)}, "r", "keras", "rnn", 1, 1, 3, 2, None,
    ),
    "keras_both_ways": (
        keras_layer("b/forward_layer") | keras_layer("b/backward_layer"), "b", "keras", "lstm", 1, 2, 3, 2, None,
    ),
    "keras_2": (
        {f"lstm/lstm/lstm_cell/{name}:0": shape for name, shape in {"kernel": (3, 8), "recurrent_kernel": (2, 8), "bias": (8,)}.items()},
        "lstm/lstm/lstm_cell", "keras", "lstm", 1, 1, 3, 2, None,
    ),
    "tf1": (tf1_layer("rnn", "basic_lstm_cell"), "rnn", "tf1", "lstm", 1, 1, 3, 2, None),
    "tf1_rnn": (tf1_layer("rnn", "basic_rnn_cell"), "rnn", "tf1", "rnn", 1, 1, 3, 2, None),
    "tf1_gru": (tf1_layer("rnn", "gru_cell"), "rnn", "tf1", "gru", 1, 1, 3, 2, "before"),
    "tf1_stacked": (
        tf1_layer("rnn/multi_rnn_cell/cell_0", "lstm_cell") | tf1_layer("rnn/multi_rnn_cell/cell_1", "lstm_cell", I=2),
        "rnn", "tf1", "lstm", 2, 1, 3, 2, None,
    ),
    "tf1_with_what_adam_keeps": (
        tf1_layer("rnn", "basic_lstm_cell") | {f"{name}/Adam": shape for name, shape in tf1_layer("rnn", "basic_lstm_cell").items()},
        "rnn", "tf1", "lstm", 1, 1, 3, 2, None,
    ),
    "tf1_both_ways_stacked": (
        {n: s for c, I in (("cell_0", 3), ("cell_1", 4)) for d in ("fw", "bw")
         for n, s in tf1_layer(f"stack_bidirectional_rnn/{c}/bidirectional_rnn/{d}", "gru_cell", I).items()},
        "stack_bidirectional_rnn", "tf1", "gru", 2, 2, 3, 2, "before",
    ),
    "tf1_both_ways": (
        tf1_layer("bidirectional_rnn/fw", "gru_cell") | tf1_layer("bidirectional_rnn/bw", "gru_cell"),
        "bidirectional_rnn", "tf1", "gru", 1, 2, 3, 2, "before",
    ),
    "split": (
        {"net.layer0.W_xh": (3, 6), "net.layer0.W_hh": (2, 6), "net.layer0.b_h": (6,), "net.layer0.b_hn": (2,)},
        "net", "split", "gru", 1, 1, 3, 2, "after",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_layers_are_found_by_name_and_shape(written, name):
    shapes, *expected = FOUND[name]
    found = find(written(shapes))
    block = found.block
    told = [
        found.path,
        found.layout,
        block.cell,
        found.layers,
        found.directions,
        block.input,
        block.hidden,
        block.reset,
    ]
    assert told == expected


@pytest.mark.parametrize("name", FOUND)
def test_what_is_found_has_the_names_and_shapes_of_its_layout(written, name):
    found = find(written(FOUND[name][0]))
    block = found.block
    structure = Structure(
        block.cell, found.layers, 1, 1, block.input, block.hidden, None, block.reset or "after", found.directions
    )
    assert {name: each.shape for name, each in found.tensors().items()} == layouts()[found.layout].shapes(structure)


REFUSED = {
    # tensors, layer, words
    "nothing": ({"fc.weight": (2, 3)}, None, ["no recurrent layer", "fc.weight (2, 3)"]),
    "several": (torch_layer("enc.") | torch_layer("dec.", G=3), None, ["2 recurrent layers", "dec (gru, 3 to 2)", "enc (lstm, 3 to 2)", "by layer"]),
    "misspelt": (torch_layer("enc.") | torch_layer("dec."), "encc", ["no recurrent layer 'encc'", "'enc'"]),
    "proj_size": (torch_layer("") | {"weight_hr_l0": (2, 2)}, None, ["proj_size"]),
    "a_layer_missing": ({n: s for n, s in torch_layer("", 3).items() if "_l1" not in n}, None, ["the layers 0, 2, and not from 0 on"]),
    "peepholes": (tf1_layer("rnn", "lstm_cell") | {"rnn/lstm_cell/w_f_diag": (2,)}, None, ["peepholes (w_f_diag)"]),
    "projection": (tf1_layer("rnn", "lstm_cell") | {"rnn/lstm_cell/projection/kernel": (2, 2)}, None, ["a projection"]),
    "cudnn": ({"cudnn_lstm/opaque_kernel": (99,)}, None, ["cuDNN"]),
    "a_bias_of_another_width": (torch_layer("") | {"bias_hh_l0": (7,)}, None, ["bias_hh of shape (7,)", "(8,) fits"]),
    "one_bias_of_two": ({n: s for n, s in torch_layer("").items() if n != "bias_hh_l0"}, None, ["one of bias_ih and bias_hh"]),
    "backward_alone": (torch_layer("", 1, ("_reverse",)), None, ["backward direction alone"]),
    "two_directions_that_differ": (
        torch_layer("") | torch_layer("", 1, ("_reverse",), I=5), None, ["two directions that differ in cell or sizes"],
    ),
    "two_widths": (
        torch_layer("") | {n.replace("l0", "l1"): s for n, s in torch_layer("", H=5, I=2).items()}, None, ["of 2 and of 5 hidden units"],
    ),
    "a_layer_too_wide": (
        torch_layer("") | {n.replace("l0", "l1"): s for n, s in torch_layer("", I=4).items()}, None, ["inputs of width 4", "hands on 2"],
    ),
    "not_from_layer_0": ({n.replace("l0", "l1"): s for n, s in torch_layer("").items()}, None, ["the layers 1, and not from 0"]),
    "each_direction_stacked_by_itself": (
        {n: s for d in ("fw", "bw") for c, I in (("cell_0", 3), ("cell_1", 2)) for n, s in tf1_layer(f"bidirectional_rnn/{d}/multi_rnn_cell/{c}", "gru_cell", I).items()},
        None, ["inputs of width 2", "hands on 4"],
    ),
    "layers_of_two_cells": (
        keras_layer("layers/gru", G=3) | keras_layer("layers/lstm", I=2), "layers/gru,layers/lstm", ["layer 0, gru with its reset before", "layer 1, lstm"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("shapes", "layer", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_with_the_reason(written, shapes, layer, words):
    with pytest.raises(CheckpointRefused) as refused:
        find(written(shapes), layer=layer)
    for each in words:
        assert each in str(refused.value)


def test_numbers_of_no_float_are_refused(written):
    with pytest.raises(CheckpointRefused, match=r"_l0 of dtype I8; weights are of float16"):
        find(written(torch_layer(""), "int8"))


@pytest.mark.parametrize("layer", ["encoder.rnn", "rnn"])
def test_a_layer_is_chosen_by_its_path_or_the_end_of_it(written, layer):
    found = find(
        written(torch_layer("encoder.rnn.") | torch_layer("decoder.gru.", G=3) | torch_layer("arnn.")), layer=layer
    )
    assert found.path == "encoder.rnn"


def test_layers_with_paths_of_their_own_are_chosen_in_the_order_given(written):
    path = written(keras_layer("net/first", I=3) | keras_layer("net/above", I=2) | keras_layer("net/other", I=7))
    found = find(path, layer="first,above")
    assert (found.path, found.layers, found.block.input) == ("net/first,net/above", 2, 3)
    with pytest.raises(CheckpointRefused, match="inputs of width 3, where the layer below hands on 2"):
        find(path, layer="above,first")


def test_biases_that_are_not_there_are_zero(written):
    shapes = {name: shape for name, shape in torch_layer("").items() if "bias" not in name}
    tensors = find(written(shapes)).tensors()
    assert [tensors[name].tolist() for name in ("bias_ih_l0", "bias_hh_l0")] == [[0.0] * 8] * 2


@pytest.mark.parametrize("path", [None, "head"])
def test_the_readout_is_found_by_its_shape(written, path):
    found = find(
        written(
            torch_layer("rnn.") | {"head.weight": (5, 2), "head.bias": (5,), "other.weight": (6, 2), "other.bias": (6,)}
        )
    )
    assert found.readout(5, path) == {"readout.weight": "head.weight", "readout.bias": "head.bias"}


def test_several_readouts_are_told_and_one_is_chosen(written):
    heads = {
        f"{name}.{role}": (5, 2) if role == "weight" else (5,) for name in ("a", "b") for role in ("weight", "bias")
    }
    found = find(written(torch_layer("rnn.") | heads))
    with pytest.raises(CheckpointRefused, match="2 linear layers from 2 to 5") as refused:
        found.readout(5, None)
    assert refused.value.about == "readout"
    assert found.readout(5, "b")["readout.weight"] == "b.weight"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_files_of_every_format_hold_the_same_numbers(file):
    """Each was written by its framework, from the .npz among them."""
    structure = Structure("lstm", 2, 1, 1, 3, 2, None, directions=2)
    found = of_checkpoint(find(file, layer=LAYERS.get(file.name)), structure, "float32")
    for name, array in np.load(NUMBERS).items():
        # TensorFlow 1 stores the forget bias less 1, which may lose half a unit in the last place of 1.
        np.testing.assert_allclose(found[name], array, rtol=0, atol=2**-24 if file.suffix == ".index" else 0)


def test_there_is_a_file_of_every_format():
    suffixes = {suffix for each in formats().values() for suffix in each.suffixes}
    assert {each.name.partition(".")[2] for each in FILES} == {s[1:] for s in suffixes} - {
        "pth",
        "data-00000-of-00001",
        "h5",
        "index.json",
    } | {"weights.h5"}


def test_every_naming_names_a_layout():
    assert set(namings()) <= set(layouts())


@pytest.mark.parametrize("width", ["float16", "bfloat16"])
def test_half_precision_is_read_exactly(tmp_path, width):
    numbers = np.array([[1.5, -0.0078125, 3.0]] * 4, np.float32)
    bits = (
        numbers.astype(np.float16).tobytes()
        if width == "float16"
        else (numbers.view(np.uint32) >> 16).astype("<u2").tobytes()
    )
    shapes = {"weight_ih_l0": ("F16" if width == "float16" else "BF16", [4, 3], bits)}
    shapes["weight_hh_l0"] = (shapes["weight_ih_l0"][0], [4, 1], bits[:8])
    path = tmp_path / "half.safetensors"
    path.write_bytes(safetensors_of(shapes))
    tensors = find(path).tensors()
    assert tensors["weight_ih_l0"].dtype == np.float32
    assert tensors["weight_ih_l0"].tolist() == numbers.tolist()


def safetensors_of(tensors):
    header, body = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body
