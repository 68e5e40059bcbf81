"""The recurrent layers of a file: found by name and shape, listed when there are several, chosen by their path."""

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


def without(shapes, *ends):
    """Return the tensors whose names end in none of these."""
    return {name: shape for name, shape in shapes.items() if not name.endswith(ends)}


LACKING = {
    # tensors, the names that are missing, what the hint says
    "upper_backward_matrix": (without(torch_layer("r.", 2, ("", "_reverse")), "weight_hh_l1_reverse"), ["r.weight_hh_l1_reverse"], "whole"),
    "first_matrix": (without(torch_layer(""), "weight_ih_l0"), ["weight_ih_l0"], "whole"),
    "bias": (without(torch_layer("", 2), "bias_ih_l1"), ["bias_ih_l1"], "whole"),
    "both_matrices": (without(torch_layer("r."), "weight_ih_l0", "weight_hh_l0"), ["r.weight_ih_l0", "r.weight_hh_l0"], "whole"),
    "weight_norm": (
        without(torch_layer("r."), "weight_hh_l0") | {"r.weight_hh_l0_g": (8, 1), "r.weight_hh_l0_v": (8, 2)},
        ["r.weight_hh_l0"], "made of r.weight_hh_l0_g, r.weight_hh_l0_v;",
    ),
    "parametrization": (
        without(torch_layer(""), "weight_hh_l0") | {"parametrizations.weight_hh_l0.original0": (8, 1)},
        ["weight_hh_l0"], "made of parametrizations.weight_hh_l0.original0;",
    ),
    "keras": ({"layers/lstm/cell/vars/0": (3, 8)}, ["layers/lstm/cell/vars/1"], "whole"),
    "keras_direction": (
        without(keras_layer("b/forward_layer") | keras_layer("b/backward_layer"), "backward_layer/cell/vars/0"),
        ["b/backward_layer/cell/vars/0"], "whole",
    ),
    "keras_2": (
        {"lstm/lstm_cell/kernel:0": (3, 8), "lstm/lstm_cell/bias:0": (8,)}, ["lstm/lstm_cell/recurrent_kernel:0"], "whole",
    ),
    "tf1_bias": ({"rnn/basic_lstm_cell/kernel": (5, 8), "other/bias_1": (8,)}, ["rnn/basic_lstm_cell/bias"], "whole"),
    "tf1_upper_bias": (
        without(
            tf1_layer("rnn/multi_rnn_cell/cell_0", "lstm_cell") | tf1_layer("rnn/multi_rnn_cell/cell_1", "lstm_cell", I=2), "cell_1/lstm_cell/bias"
        ), ["rnn/multi_rnn_cell/cell_1/lstm_cell/bias"], "whole",
    ),
    "tf1_candidate": (
        without(tf1_layer("rnn", "gru_cell"), "candidate/kernel", "candidate/bias"),
        ["rnn/gru_cell/candidate/kernel", "rnn/gru_cell/candidate/bias"], "whole",
    ),
    "tf1_gates": (without(tf1_layer("rnn", "gru_cell"), "gates/bias"), ["rnn/gru_cell/gates/bias"], "whole"),
    "split": (without({"n.layer0.W_xh": (3, 8), "n.layer0.b_h": (8,)}), ["n.layer0.W_hh"], "whole"),
}  # fmt: skip


@pytest.mark.parametrize(("shapes", "missing", "words"), LACKING.values(), ids=LACKING)
def test_a_layer_that_is_not_whole_is_refused_with_what_is_missing(written, shapes, missing, words):
    with pytest.raises(CheckpointRefused) as refused:
        find(written(shapes))
    assert refused.value.problem.startswith(f"has no {' and no '.join(missing)}, which the layer of ")
    assert words in refused.value.hint
    assert "--ignore" not in str(refused.value)


TRANSPOSED = {
    # tensors, those of them that lie otherwise
    "torch": (torch_layer("r."), ["r.weight_ih_l0"]),
    "torch_recurrent": (torch_layer("r."), ["r.weight_hh_l0"]),
    "torch_both": (torch_layer("r.", G=3), ["r.weight_ih_l0", "r.weight_hh_l0"]),
    "torch_upper_layer": (torch_layer("r.", 2), ["r.weight_hh_l1"]),
    "torch_inputs_as_wide_as_the_gates": (without(torch_layer("", I=8), "bias_ih_l0", "bias_hh_l0"), ["weight_hh_l0"]),
    "keras": (keras_layer("layers/lstm"), ["layers/lstm/cell/vars/0", "layers/lstm/cell/vars/1"]),
    "tf1": (tf1_layer("rnn", "basic_lstm_cell"), ["rnn/basic_lstm_cell/kernel"]),
    "tf1_gates": (tf1_layer("rnn", "gru_cell"), ["rnn/gru_cell/gates/kernel"]),
    "split": ({"layer0.W_xh": (3, 8), "layer0.W_hh": (2, 8), "layer0.b_h": (8,)}, ["layer0.W_xh"]),
}  # fmt: skip


@pytest.mark.parametrize(("shapes", "turned"), TRANSPOSED.values(), ids=TRANSPOSED)
def test_a_transposed_matrix_is_named_with_its_shape_and_the_one_that_fits(written, shapes, turned):
    with pytest.raises(CheckpointRefused) as refused:
        find(written({name: shape[::-1] if name in turned else shape for name, shape in shapes.items()}))
    for name in turned:
        assert f"{name} of shape {shapes[name][::-1]}, where {shapes[name]} fits" in refused.value.problem
    assert "transposed" in refused.value.problem
    assert "names that would do" not in str(refused.value)


MISSHAPEN = {
    "width_of_an_upper_layer": (torch_layer("", 2) | {"weight_hh_l1": (8, 3)}, ["weight_ih_l1 of shape (8, 2)", "weight_hh_l1 of shape (8, 3)", "G of 1, 3 or 4"]),
    "two_gates": (without(torch_layer("", G=2), "bias_ih_l0"), ["weight_ih_l0 of shape (4, 3)", "no rnn, gru or lstm"]),
    "a_vector_for_a_matrix": ({"weight_ih_l0": (2, 3), "weight_hh_l0": (2,), "bias_ih_l0": (2,)}, ["weight_hh_l0 of shape (2,)", "a plain layer has a matrix"]),
    "convolution": ({"c/kernel": (3, 3, 1, 8), "c/recurrent_kernel": (3, 3, 2, 8)}, ["c/kernel of shape (3, 3, 1, 8)", "a plain layer has a matrix"]),
    "tf1_bias": (tf1_layer("rnn", "basic_lstm_cell") | {"rnn/basic_lstm_cell/bias": (9,)}, ["bias of shape (9,)", "kernel of shape (5, 8)", "do not fit each other"]),
}  # fmt: skip


@pytest.mark.parametrize(("shapes", "words"), MISSHAPEN.values(), ids=MISSHAPEN)
def test_matrices_that_fit_no_cell_are_named_with_their_shapes(written, shapes, words):
    with pytest.raises(CheckpointRefused) as refused:
        find(written(shapes))
    for each in words:
        assert each in refused.value.problem
    assert "names that would do" not in str(refused.value)


def test_an_incomplete_layer_beside_a_whole_one_is_offered_with_what_is_missing(written):
    path = written(torch_layer("enc.") | without(torch_layer("dec."), "weight_hh_l0"))
    with pytest.raises(CheckpointRefused, match=r"dec \(has no dec.weight_hh_l0, .*\); enc \(lstm, 3 to 2\)"):
        find(path)
    assert find(path, layer="enc").path == "enc"


REFUSED = {
    # tensors, layer, words
    "nothing": ({"fc.weight": (2, 3)}, None, ["no recurrent layer", "fc.weight (2, 3)"]),
    "several": (torch_layer("enc.") | torch_layer("dec.", G=3), None, ["2 recurrent layers", "dec (gru, 3 to 2)", "enc (lstm, 3 to 2)", "by layer"]),
    "misspelt": (torch_layer("enc.") | torch_layer("dec."), "encc", ["no recurrent layer 'encc'", "'enc'"]),
    "proj_size": (torch_layer("") | {"weight_hr_l0": (2, 2)}, None, ["proj_size"]),
    "a_layer_missing": ({n: s for n, s in torch_layer("", 3).items() if "_l1" not in n}, None, ["layers 0, 2 and no layer 1 (", "weight_hh_l1"]),
    "peepholes": (tf1_layer("rnn", "lstm_cell") | {"rnn/lstm_cell/w_f_diag": (2,)}, None, ["peepholes (w_f_diag)"]),
    "projection": (tf1_layer("rnn", "lstm_cell") | {"rnn/lstm_cell/projection/kernel": (2, 2)}, None, ["a projection"]),
    "cudnn": ({"cudnn_lstm/opaque_kernel": (99,)}, None, ["cuDNN"]),
    "a_bias_of_another_width": (torch_layer("") | {"bias_hh_l0": (7,)}, None, ["bias_hh_l0 of shape (7,)", "(8,) fits"]),
    "one_bias_of_two": ({n: s for n, s in torch_layer("").items() if n != "bias_hh_l0"}, None, ["has no bias_hh_l0,"]),
    "backward_alone": (torch_layer("", 1, ("_reverse",)), None, ["backward direction alone"]),
    "two_directions_that_differ": (
        torch_layer("") | torch_layer("", 1, ("_reverse",), I=5), None, ["two directions that differ in cell or sizes"],
    ),
    "an_upper_layer_in_one_direction": (
        without(torch_layer("r.", 2, ("", "_reverse")), "l1_reverse"), None,
        ["layer 0 in both directions and layer 1 in the forward direction alone", "(no r.bias_hh_l1_reverse, ", "r.weight_ih_l1_reverse)"],
    ),
    "two_widths": (
        torch_layer("") | {n.replace("l0", "l1"): s for n, s in torch_layer("", H=5, I=2).items()}, None, ["of 2 and of 5 hidden units"],
    ),
    "a_layer_too_wide": (
        torch_layer("") | {n.replace("l0", "l1"): s for n, s in torch_layer("", I=4).items()}, None, ["inputs of width 4", "hands on 2"],
    ),
    "not_from_layer_0": ({n.replace("l0", "l1"): s for n, s in torch_layer("").items()}, None, ["layer 1 and no layer 0 (", "weight_hh_l0"]),
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
