"""A proof that fails: what is wrong with a port is found, and nothing is left of it. NumPy on both sides."""

# ruff: noqa: E501 - tables

import json
from pathlib import Path

import numpy as np
import pytest

from harness.checkpoint import CheckpointRefused
from harness.execution.session.running import not_kept
from harness.port import ProofFailed, planned, port, porting
from harness.port.sides import sides
from harness.port.sides.base import File
from harness.tensors import Structure
from tests.port.test_pairs import numbers

LSTM = Structure("lstm", 2, 1, 1, 3, 4, None)


@pytest.fixture
def source(tmp_path):
    np.savez(tmp_path / "m.npz", **numbers(LSTM, "float32"))
    return tmp_path / "m.npz"


def swapped(weights, gates):
    """Put the gates' blocks of the first layer's recurrent weights in another order."""
    blocks = np.split(weights["layer0.W_hh"], 4, axis=1)
    return {**weights, "layer0.W_hh": np.concatenate([blocks[gate] for gate in gates], axis=1)}


WRONG = {
    "gates_in_another_order": lambda weights: swapped(weights, (0, 2, 1, 3)),
    "a_bias_left_out": lambda weights: {**weights, "layer1.b_h": np.zeros(16, np.float32)},
    "one_number_off_by_a_thousandth": lambda weights: {
        **weights, "layer0.W_xh": weights["layer0.W_xh"] * np.where(np.arange(16) == 5, np.float32(1.001), np.float32(1)),
    },
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_weights_that_came_through_wrong_are_found(monkeypatch, tmp_path, porters, source, wrong):
    converted = porting._converted
    monkeypatch.setattr(porting, "_converted", lambda plan, weights: WRONG[wrong](converted(plan, weights)))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ProofFailed, match=r"layer\d\.\w+ has other numbers in the written file"):
        port(planned(source, "npz", tmp_path / "out.npz"), porters, not_kept)
    assert sorted(tmp_path.iterdir()) == before


def test_a_model_that_computes_otherwise_is_found(monkeypatch, tmp_path, porters):
    """Without the check of the bits: one weight is off by a thousandth, and the outputs and the gradients show it."""
    source = tmp_path / "m.npz"
    np.savez(source, **numbers(Structure("rnn", 1, 1, 1, 2, 3, None), "float32"))
    converted = porting._converted

    def wrong(plan, weights):
        found = converted(plan, weights)
        found["layer0.W_xh"][0, 1] *= np.float32(1.001)
        return found

    monkeypatch.setattr(porting, "_converted", wrong)
    monkeypatch.setattr(porting, "_check_bits", lambda *_: None)
    before = sorted(tmp_path.iterdir())
    done = port(planned(source, "npz", tmp_path / "out.npz"), porters, not_kept)
    assert done.files == ()
    (outcome,) = done.run.outcomes
    judged = {each.implementation: each for each in outcome.judged}
    assert (judged["ported"].verdict, judged["numpy-split"].verdict) == ("mismatch", "match")
    assert "outputs" in [each.tensor for each in judged["ported"].comparison.disagreements]
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_came_out_as_another_is_told_and_leaves_nothing(monkeypatch, tmp_path, porters, source):
    monkeypatch.setattr(porting, "_converted", lambda *_: {"of_no_shape": np.ones(3)})
    plan = planned(source, "npz", tmp_path / "out.npz")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ProofFailed, match="the file that npz wrote has no recurrent layer"):
        port(plan, porters, not_kept)
    assert sorted(tmp_path.iterdir()) == before


def test_the_sizes_of_the_proof_are_all_different(tmp_path):
    for I, H in ((3, 6), (7, 2), (6, 3), (2, 4)):
        structure = Structure("rnn", 1, 1, 1, I, H, None)
        path = tmp_path / f"m{I}{H}.npz"
        np.savez(path, **numbers(structure, "float32"))
        sizes = planned(path, "npz", tmp_path / "out.npz").case.sizes
        assert len({sizes.batch, sizes.time, sizes.input, sizes.hidden}) == 4


def test_what_a_process_is_told_of_a_file_comes_through_json(source):
    from harness.checkpoint import find

    file = File.of(source, find(source), ours=False)
    again = File.from_plain(json.loads(json.dumps(file.to_plain())))
    assert again == file


REFUSED = {
    # structure, to, target, words
    "gru_before_to_torch": (Structure("gru", 1, 1, 1, 3, 4, None, "before"), "torch", "o.pt", "reset before the recurrent product, and torch's after it"),
    "gru_after_to_tf1": (Structure("gru", 1, 1, 1, 3, 4, None), "tf1", "o.index", "two biases of the candidate, which cannot be one"),
    "ending_of_another": (LSTM, "torch", "o.keras", "files of torch end in .pt, .pth or .safetensors"),
    "ending_of_another_for_tf1": (LSTM, "tf1", "o.pt", "files of tf1 end in .index or .ckpt"),
    "no_ending": (LSTM, "keras", "o", "files of keras end in .keras or .weights.h5"),
    "no_folder": (LSTM, "npz", "nowhere/o.npz", "there is no folder"),
    "itself": (LSTM, "npz", "m.npz", "exists already, and is left unchanged"),
}  # fmt: skip


@pytest.mark.parametrize(("structure", "to", "target", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_before_anything_starts(tmp_path, structure, to, target, words):
    np.savez(tmp_path / "m.npz", **numbers(structure, "float32"))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CheckpointRefused) as refused:
        planned(tmp_path / "m.npz", to, tmp_path / target)
    assert words in str(refused.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("activation", "words"), [("sigmoid", "nn.RNN has tanh and relu"), ("relu", "")])
def test_an_activation_that_torch_has_not_is_refused(tmp_path, activation, words):
    np.savez(tmp_path / "m.npz", **numbers(Structure("rnn", 1, 1, 1, 3, 4, None), "float32"))
    if not words:
        assert planned(tmp_path / "m.npz", "torch", tmp_path / "o.pt", activation=activation).case.activation == "relu"
        return
    with pytest.raises(CheckpointRefused, match=words):
        planned(tmp_path / "m.npz", "torch", tmp_path / "o.pt", activation=activation)


def test_an_activation_of_an_lstm_is_refused(tmp_path, source):
    with pytest.raises(
        CheckpointRefused, match="--activation relu does not fit: the harness has tanh alone in an lstm"
    ):
        planned(source, "npz", tmp_path / "o.npz", activation="relu")


def test_a_part_of_a_tensorflow_checkpoint_that_is_there_is_left_alone(tmp_path, source):
    (tmp_path / "o.data-00000-of-00001").write_bytes(b"somebody's")
    with pytest.raises(CheckpointRefused, match=r"o\.data-00000-of-00001 exists already"):
        planned(source, "tf1", tmp_path / "o.index")


def test_every_framework_behind_to_is_offered():
    from harness.cli.port import command

    (to,) = (each for each in command.params if each.name == "to")
    assert sorted(to.type.choices) == sorted(each.to for each in sides().values())


def test_no_path_is_taken_from_where_the_process_stands(source, monkeypatch):
    from harness.checkpoint import find

    monkeypatch.chdir(source.parent)
    assert File.of(Path("m.npz"), find(Path("m.npz")), ours=False).path == source


def test_a_framework_that_cannot_write_is_told_and_leaves_nothing(monkeypatch, tmp_path, porters, source):
    plan = planned(source, "npz", tmp_path / "out.npz")
    before = sorted(tmp_path.iterdir())
    ask = type(porters).ask

    def nowhere(self, framework, header, arrays):
        return ask(self, framework, {**header, "path": str(tmp_path / "nowhere" / "out.npz")}, arrays)

    monkeypatch.setattr(type(porters), "ask", nowhere)
    with pytest.raises(ProofFailed, match="npz did not write it: FileNotFoundError") as failed:
        port(plan, porters, not_kept)
    assert "Traceback" in failed.value.detail
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_comes_while_the_proof_runs_is_left_alone(monkeypatch, tmp_path, porters, source):
    proven = porting._proven

    def late(*arguments):
        (tmp_path / "out.npz").write_text("mine")
        return proven(*arguments)

    monkeypatch.setattr(porting, "_proven", late)
    with pytest.raises(ProofFailed, match=r"out\.npz came while the proof ran, and is left unchanged"):
        port(planned(source, "npz", tmp_path / "out.npz"), porters, not_kept)
    assert (tmp_path / "out.npz").read_text() == "mine"


def test_of_several_files_all_are_put_in_place_or_none(tmp_path):
    made, folder = tmp_path / "made", tmp_path / "folder"
    for each in (made, folder):
        each.mkdir()
    files = [made / name for name in ("w.data-00000-of-00001", "w.index")]
    for each in files:
        each.write_text("ours")
    (folder / "w.index").write_text("mine")
    with pytest.raises(ProofFailed, match=r"w\.index came while"):
        porting._in_place(files, folder)
    assert {each.name: each.read_text() for each in folder.iterdir()} == {"w.index": "mine"}
