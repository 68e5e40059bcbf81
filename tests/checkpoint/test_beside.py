"""Tensors beside a recurrent layer make it another one: they are named, and passed over only by their names."""

# ruff: noqa: E501 - tables

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness.checkpoint import CheckpointRefused, find
from tests.checkpoint.test_finding import keras_layer, tf1_layer, torch_layer

H, G = 2, 8

BESIDE = {
    # the tensors of a plain layer, those beside it, the layer's path
    "norms_in_the_cell": (
        {n.removesuffix("_l0"): s for n, s in torch_layer("cell.").items()},
        {"cell.ln_ih.weight": (G,), "cell.ln_ih.bias": (G,), "cell.ln_ho.weight": (H,)}, "cell",
    ),
    "norm_of_the_gates_around_the_cell": (torch_layer("net.cell."), {"net.ln_hh.weight": (G,)}, "net.cell"),
    "peepholes": (torch_layer("cell."), {"cell.weight_pi": (H,), "cell.weight_pf": (H,)}, "cell"),
    "peepholes_around_the_cell": (torch_layer("net.cell."), {"net.w_ci": (H,), "net.w_cf": (H,)}, "net.cell"),
    "weight_drop": (torch_layer("0.rnns.0.module."), {"0.rnns.0.weight_hh_l0_raw": (G, H)}, "0.rnns.0.module"),
    "weight_drop_at_the_top": (torch_layer("module."), {"weight_hh_l0_raw": (G, H)}, "module"),
    "weight_norm": (torch_layer("rnn."), {"rnn.weight_hh_l0_g": (G, 1), "rnn.weight_hh_l0_v": (G, H)}, "rnn"),
    "parametrization": (torch_layer("rnn."), {"rnn.parametrizations.weight_hh_l0.original0": (G, 1)}, "rnn"),
    "projection": (torch_layer("rnn."), {"rnn.proj.weight": (1, H)}, "rnn"),
    "keras_norm": (keras_layer("layers/own"), {"layers/own/cell/norm/vars/0": (G,)}, "layers/own"),
    "keras_fourth_variable": (keras_layer("layers/own"), {"layers/own/cell/vars/3": (H,)}, "layers/own"),
    "tf1_norm": (tf1_layer("rnn", "basic_lstm_cell"), {"rnn/basic_lstm_cell/state/gamma": (H,)}, "rnn"),
    "tf1_projection": (tf1_layer("rnn", "gru_cell"), {"rnn/output_projection_wrapper/kernel": (H, 3)}, "rnn"),
    "tf1_attention": (
        tf1_layer("rnn/attention_cell_wrapper", "basic_lstm_cell"),
        {"rnn/attention_cell_wrapper/kernel": (H, 3), "rnn/attention_cell_wrapper/attention/kernel": (H, H)},
        "rnn/attention_cell_wrapper",
    ),
    "tf1_attention_in_a_decoder": (
        tf1_layer("decoder", "basic_lstm_cell"), {"decoder/attention_wrapper/attention_layer/kernel": (H, H)}, "decoder",
    ),
    "split_peephole": ({"layer0.W_xh": (3, G), "layer0.W_hh": (H, G), "layer0.b_h": (G,)}, {"layer0.p_i": (H,)}, "."),
    "initial_states": (torch_layer("net.rnn."), {"net.h0": (1, 1, H), "net.c0": (1, 1, H)}, "net.rnn"),
    "initial_states_of_every_layer": (
        torch_layer("rnn.", 2, ("", "_reverse")), {"start": (4, 1, H), "both": (2, 4, H), "hidden": (4, 7, H)}, "rnn",
    ),
    "initial_state_without_a_batch": (torch_layer("rnn."), {"init_state": (1, H), "h_0.0": (H,), "h_0.1": (H,)}, "rnn"),
    "initial_state_of_keras": (keras_layer("lstm"), {"vars/0": (1, H)}, "lstm"),
    "initial_state_of_tf1": (tf1_layer("model/rnn", "gru_cell"), {"model/h0": (1, H)}, "model/rnn"),
    "initial_state_of_tf1_in_its_scope": (tf1_layer("rnn", "gru_cell"), {"rnn/init_state": (1, H)}, "rnn"),
}  # fmt: skip


def written(path, shapes):
    random = np.random.default_rng(0)
    tensors = {name: random.uniform(-1, 1, shape).astype("f4") for name, shape in shapes.items() if shape is not None}
    save_file(tensors, path)
    return path


@pytest.mark.parametrize(("layer", "beside", "path"), BESIDE.values(), ids=BESIDE)
def test_what_a_plain_layer_has_not_is_named_and_accepted_by_its_name(tmp_path, layer, beside, path):
    file = written(tmp_path / "m.safetensors", {**layer, **beside})
    with pytest.raises(
        CheckpointRefused, match=r"has tensors beside .* that a plain (lstm|gru) does not have"
    ) as refused:
        find(file)
    assert sorted(refused.value.names) == sorted(beside)
    assert all(f"--ignore {name}" in refused.value.hint for name in beside)
    for left in beside if len(beside) > 1 else ():
        with pytest.raises(CheckpointRefused, match="has tensors beside") as refused:
            find(file, ignored=[name for name in beside if name != left])
        assert refused.value.names == (left,)
    found = find(file, ignored=list(beside))
    assert (found.path, sorted(found.ignored)) == (path, sorted(beside))
    assert any("skipped by --ignore" in each for each in found.remarks)
    assert find(file, ignored=[",".join(beside)]).ignored == found.ignored


ABSENT = {
    "a_bias_of_another_layer": (
        {**torch_layer(""), "weight_ih_l1": (G, H), "weight_hh_l1": (G, H)}, {"bias_ih_l1": None, "bias_hh_l1": None}, ".",
    ),
    "a_bias_of_another_direction": (
        keras_layer("b/forward_layer") | keras_layer("b/backward_layer", bias=()), {"b/backward_layer/cell/vars/2": None}, "b",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("layer", "absent", "path"), ABSENT.values(), ids=ABSENT)
def test_a_bias_that_one_layer_lacks_is_missing_and_not_beside_it(tmp_path, layer, absent, path):
    file = written(tmp_path / "m.safetensors", layer)
    with pytest.raises(CheckpointRefused, match=r"^has no .* to use zeros instead") as refused:
        find(file)
    assert sorted(refused.value.names) == sorted(absent)
    assert all(f"no {name}" in refused.value.problem for name in absent)
    found = find(file, ignored=list(absent))
    assert (found.path, sorted(found.ignored)) == (path, sorted(absent))


@pytest.mark.parametrize("name", ["h0", "start"])
def test_an_initial_state_is_called_one(tmp_path, name):
    file = written(tmp_path / "m.safetensors", {**torch_layer("rnn."), name: (1, 1, H)})
    with pytest.raises(CheckpointRefused, match=rf"does not have: {name} \(an initial state, by shape or name"):
        find(file)


APART = {
    "an_embedding_and_a_readout": {"embed.weight": (9, 3), "fc.weight": (5, H), "fc.bias": (5,), "norm.weight": (H,), "norm.bias": (H,)},
    "a_norm_behind_it": {"net.norm.weight": (H,), "net.norm.bias": (H,)},
    "tables_and_states_of_others": {"net.positions": (50, H), "net.table": (9, 3), "decoder.h0": (1, 1, H), "net.fc.h": (1, H)},
    "steps_counted": {"net.bn.num_batches_tracked": ()},
}  # fmt: skip


@pytest.mark.parametrize("apart", APART.values(), ids=APART)
def test_what_stands_elsewhere_in_a_model_hinders_nothing(tmp_path, apart):
    assert find(written(tmp_path / "m.safetensors", {**torch_layer("net.rnn."), **apart})).ignored == ()


def test_what_stands_in_a_scope_that_others_share_hinders_nothing(tmp_path):
    shapes = {**tf1_layer("model", "basic_lstm_cell"), "model/dense/kernel": (H, 2), "model/embedding": (9, 3)}
    assert find(written(tmp_path / "m.safetensors", shapes)).ignored == ()


def test_what_a_plain_keras_layer_keeps_for_its_dropout_hinders_nothing(tmp_path):
    shapes = {**keras_layer("layers/lstm"), "layers/lstm/cell/seed_generator/vars/0": (2,)}
    assert find(written(tmp_path / "m.safetensors", shapes)).ignored == ()


def test_a_name_that_nothing_has_is_no_name_to_ignore(tmp_path):
    shapes = {**torch_layer("cell."), "cell.weight_pi": (H,)}
    with pytest.raises(CheckpointRefused, match=r"no 'cell.weight_pj' to ignore .* mean 'cell.weight_pi'") as refused:
        find(written(tmp_path / "m.safetensors", shapes), ignored=["cell.weight_pj"])
    assert refused.value.about == "ignore"


@pytest.fixture
def shards(tmp_path):
    """A layer in two files: matrices in one, biases in the other."""
    layer = torch_layer("rnn.")
    kinds = ("weight", "bias")
    names = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for kind, name in zip(kinds, names, strict=True):
        written(tmp_path / name, {n: s for n, s in layer.items() if kind in n})
    return {n: names[kinds.index("bias" if "bias" in n else "weight")] for n in layer}


def test_a_shard_alone_is_refused_and_the_others_are_named(tmp_path, shards):
    first, second = sorted(set(shards.values()))
    with pytest.raises(CheckpointRefused, match="files of the same checkpoint, named by its own name") as refused:
        find(tmp_path / first)
    assert refused.value.names == (second,)
    assert find(tmp_path / first, ignored=[second]).ignored == (second,)
    with pytest.raises(CheckpointRefused, match=rf"has no rnn\.weight_ih_l0 .* its checkpoint continues in {first}"):
        find(tmp_path / second)


def test_shards_are_read_by_their_index_whatever_they_are_called(tmp_path, shards):
    renamed = {"model-00001-of-00002.safetensors": "a.bin", "model-00002-of-00002.safetensors": "b.bin"}
    for old, new in renamed.items():
        (tmp_path / old).rename(tmp_path / new)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {n: renamed[f] for n, f in shards.items()}}))
    found = find(index)
    assert sorted(found.stored) == sorted(shards)
    assert {each.path.name for each in found.tensor_files} == {"a.bin", "b.bin"}
    assert found.tensors()["bias_ih_l0"].any()
    with pytest.raises(CheckpointRefused, match=f"by {index.name}, which can be given instead") as refused:
        find(tmp_path / "a.bin")
    assert refused.value.names == ("b.bin",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda own: {**own, "rnn.bias_ih_l0": "gone.safetensors"},
            "names gone.safetensors, and there is no such file",
        ),
        (
            lambda own: {**own, "rnn.bias_ih_l1": next(iter(own.values()))},
            "has no rnn.bias_ih_l1, which the index expects there",
        ),
        (lambda own: {**own, "rnn.bias_ih_l0": "../x.safetensors"}, "lie beside its index"),
        (lambda own: {**own, "rnn.bias_ih_l0": "/etc/passwd"}, "lie beside its index"),
    ],
    ids=["missing_file", "missing_tensor", "another_folder", "absolute"],
)
def test_an_index_that_is_wrong_is_refused(tmp_path, shards, change, words):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": change(shards)}))
    with pytest.raises(CheckpointRefused, match=words):
        find(index)


def test_a_file_without_a_recurrent_layer_says_what_it_has_and_what_would_do(tmp_path):
    with pytest.raises(CheckpointRefused, match="no recurrent layer") as refused:
        find(written(tmp_path / "m.safetensors", {"encoder.w_ih": (8, 3), "encoder.w_hh": (8, 2)}))
    for words in (
        "encoder.w_hh (8, 2)",
        "weight_ih_l0",
        "layer0.W_xh",
        "basic_lstm_cell/kernel",
        "layers/lstm/cell/vars/0",
    ):
        assert words in refused.value.hint


@pytest.mark.parametrize("wanted", ["enc,dec", "dec", "dec,enc", "x"])
def test_no_message_suggests_what_was_typed(tmp_path, wanted):
    file = written(
        tmp_path / "m.safetensors", torch_layer("enc.") | torch_layer("enc.dec.", G=3) | torch_layer("a.dec.")
    )
    with pytest.raises(CheckpointRefused) as refused:
        find(file, layer=wanted)
    assert not any(f"did you mean {each!r}" in refused.value.hint for each in wanted.split(","))


def test_stacks_of_one_layer_each_are_put_on_each_other_by_asking(tmp_path):
    shapes = torch_layer("rnns.0.") | torch_layer("rnns.1.", I=H)
    file = written(tmp_path / "m.safetensors", shapes)
    with pytest.raises(CheckpointRefused, match="2 recurrent layers without a known order"):
        find(file)
    found = find(file, layer="rnns.0,rnns.1")
    assert (found.layers, found.block.input) == (2, 3)
