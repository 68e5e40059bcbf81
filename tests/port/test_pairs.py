"""Ports between the frameworks, each file really read and run by its own: every weight comes through, every gradient
agrees, and what each wrote the next one reads."""

# ruff: noqa: E501 - tables

import json
from dataclasses import replace

import numpy as np
import pytest

from harness import run
from harness.checkpoint import find
from harness.execution.session.running import not_kept
from harness.port import planned, port
from harness.port.proof import compared
from harness.port.sides import File, sides
from harness.problem import build
from harness.problem.checkpoint import of_checkpoint
from harness.tensors import Structure

pytestmark = pytest.mark.framework

WAYS = {
    # cell, reset, directions, layers, dtype, activation; the files that the weights go through, one after another
    "rnn": (("rnn", "after", 2, 1, "float64", "relu"), ("tf1 m.index", "keras m.keras", "torch m.safetensors")),
    "lstm": (("lstm", "after", 2, 2, "float32", "tanh"), ("torch m.pt", "keras m.weights.h5", "tf1 m", "torch n.pt", "keras m.keras")),
    "gru_after": (("gru", "after", 1, 2, "float32", "tanh"), ("keras m.weights.h5", "torch m.safetensors", "keras m.keras")),
    "gru_before": (("gru", "before", 2, 1, "float64", "tanh"), ("tf1 m.index", "keras m.keras", "npz n.npz")),
}  # fmt: skip


def numbers(structure, dtype):
    random = np.random.default_rng(5)
    return {name: random.uniform(-0.9, 0.9, shape).astype(dtype) for name, shape in structure.weights.items()}


@pytest.mark.parametrize("name", WAYS)
def test_weights_go_from_file_to_file_and_come_back(tmp_path, porters, name):
    (cell, reset, directions, layers, dtype, activation), ways = WAYS[name]
    structure = Structure(cell, layers, 1, 1, 3, 4, None, reset, directions)
    first = numbers(structure, dtype)
    source, layer = tmp_path / "m.npz", None
    np.savez(source, **first)
    for way in ways:
        to, target = way.split()
        said = activation if cell == "rnn" and source.suffix != ".keras" else None
        plan = planned(source, to, tmp_path / target, layer=layer, activation=said)
        done = port(plan, porters, not_kept)
        (outcome,) = done.run.outcomes
        verdicts = {each.implementation: each.verdict for each in outcome.judged}
        assert verdicts == {"original": None, "ported": "match", "numpy-split": "match"}, outcome.judged
        for each in outcome.judged[1:]:
            compared = [tensor.tensor for tensor in each.comparison.tensors]
            assert compared == [*outcome.tensors], "the loss, the outputs and every gradient"
        assert sorted(tmp_path.glob(".port-*")) == []
        assert all(file.is_file() for file in done.files)
        source = tmp_path / target
        layer = plan.ported.layer_in(source, structure)
    last = of_checkpoint(find(source, layer=layer), structure, dtype)
    for name, array in first.items():
        # TensorFlow 1 stores an lstm's forget bias less 1.
        rounds = cell == "lstm" and name.endswith("b_h")
        np.testing.assert_allclose(last[name], array, rtol=0, atol=2**-23 if rounds else 0)


def test_every_side_and_every_ending_is_among_them():
    endings = {ending for each in sides().values() for ending in each.endings}
    told = {way.split()[1][1:] for _, ways in WAYS.values() for way in ways}
    assert told | {".pth", ".ckpt"} == endings


def test_what_torch_is_given_has_one_bias_of_zero(tmp_path, porters):
    """The layout's pair (2b, −b) is for finding faults; whoever trains on wants it plain."""
    structure = Structure("gru", 1, 1, 1, 3, 4, None)
    np.savez(tmp_path / "m.npz", **numbers(structure, "float32"))
    port(planned(tmp_path / "m.npz", "torch", tmp_path / "m.safetensors"), porters, not_kept)
    from safetensors.numpy import load_file

    first, written = np.load(tmp_path / "m.npz"), load_file(tmp_path / "m.safetensors")
    assert written["bias_ih_l0"].tolist() == first["layer0.b_h"].tolist()
    assert written["bias_hh_l0"].tolist() == [0.0] * 8 + first["layer0.b_hn"].tolist()


def test_within_one_layout_every_number_stays(tmp_path, porters):
    random = np.random.default_rng(1)
    shapes = {"weight_ih_l0": (16, 3), "weight_hh_l0": (16, 4), "bias_ih_l0": (16,), "bias_hh_l0": (16,)}
    state = {f"encoder.{name}": random.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    np.savez(tmp_path / "m.npz", **state)
    port(planned(tmp_path / "m.npz", "torch", tmp_path / "m.safetensors"), porters, not_kept)
    from safetensors.numpy import load_file

    written = load_file(tmp_path / "m.safetensors")
    assert {f"encoder.{name}": each.tolist() for name, each in written.items()} == {
        n: e.tolist() for n, e in state.items()
    }


@pytest.mark.parametrize(
    ("to", "target"),
    [("npz", "m.npz"), ("torch", "m.pt"), ("keras", "m.keras"), ("keras", "m.weights.h5"), ("tf1", "m")],
)
def test_each_side_computes_with_what_its_framework_read(tmp_path, porters, to, target):
    """The problem has other weights, and they show nowhere: as the original reads a file, and as what was ported."""
    structure = Structure("lstm", 2, 1, 1, 3, 4, None, directions=2)
    np.savez(tmp_path / "first.npz", **numbers(structure, "float64"))
    assert port(planned(tmp_path / "first.npz", to, tmp_path / target), porters, not_kept).files
    layer = sides()[{"npz": "split"}.get(to, to)].layer_in(tmp_path / target, structure)
    plan = planned(tmp_path / target, "npz", tmp_path / "out.npz", layer=layer)
    problem = build(plan.case, None)
    original, _ = compared(plan)
    zero = {name: np.zeros_like(array) for name, array in problem.weights.items()}
    expected = run("numpy-split", problem)
    for ours in (True, False):
        with porters.about({"original": File.of(tmp_path / target, plan.layers, ours)}):
            found = porters.run(original, replace(problem, weights=zero)).result
        for name, array in expected.tensors.items():
            bound = 1e-13 * np.abs(array).max()
            np.testing.assert_allclose(found.tensors[name], array, rtol=0, atol=bound, err_msg=name)


def test_a_forget_bias_that_is_stated_is_that_of_the_original_cell(tmp_path, porters):
    """A cell of TensorFlow 1 that adds nothing: its own bias is the port's, and one for BasicLSTMCell is 1 less."""
    structure = Structure("lstm", 1, 1, 1, 3, 4, None)
    first = numbers(structure, "float64")
    np.savez(tmp_path / "m.npz", **first)
    port(planned(tmp_path / "m.npz", "tf1", tmp_path / "m.index"), porters, not_kept)
    plan = planned(tmp_path / "m.index", "npz", tmp_path / "plain.npz", forget_bias=0.0)
    assert port(plan, porters, not_kept).files
    assert port(planned(tmp_path / "m.index", "tf1", tmp_path / "n.index", forget_bias=0.0), porters, not_kept).files
    for written in (np.load(tmp_path / "plain.npz"), of_checkpoint(find(tmp_path / "n.index"), structure, "float64")):
        less = written["layer0.b_h"] - first["layer0.b_h"]
        np.testing.assert_allclose(less, np.repeat([0, -1, 0, 0], 4), rtol=0, atol=2**-50)
    # With the usual one taken for the original, the same file would be another network.
    usual = planned(tmp_path / "m.index", "npz", tmp_path / "usual.npz")
    problem = build(plan.case, None)
    with porters.about({"original": File.of(tmp_path / "m.index", usual.layers, ours=False)}):
        other = porters.run(compared(usual)[0], problem).result
    assert not np.allclose(other.outputs, run("numpy-split", problem).outputs, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["model.bin", "model.ckpt"])
def test_shards_are_read_by_torch_itself_whatever_they_are_called(tmp_path, porters, name):
    structure = Structure("gru", 1, 1, 1, 3, 4, None)
    np.savez(tmp_path / "m.npz", **numbers(structure, "float32"))
    for ending in (".pt", ".safetensors"):
        port(planned(tmp_path / "m.npz", "torch", tmp_path / f"m{ending}"), porters, not_kept)
    (tmp_path / "m.pt").rename(tmp_path / name)
    (tmp_path / "m.safetensors").rename(tmp_path / "other.bin")
    kinds = {"weight_ih_l0": name, "weight_hh_l0": name, "bias_ih_l0": "other.bin", "bias_hh_l0": "other.bin"}
    (tmp_path / "index.json").write_text(json.dumps({"weight_map": kinds}))
    plan = planned(tmp_path / "index.json", "npz", tmp_path / "out.npz", layout="torch")
    assert port(plan, porters, not_kept).files
    for tensor, array in np.load(tmp_path / "m.npz").items():
        assert np.load(tmp_path / "out.npz")[tensor].tolist() == array.tolist()
