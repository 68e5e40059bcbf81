"""Files that torch itself saves, in one process of it: state dicts at any depth, and objects beside tensors."""

# ruff: noqa: E501 - a program

import subprocess
import sys

import numpy as np
import pytest

from harness.checkpoint import CheckpointRefused, find, opened

pytestmark = pytest.mark.framework

SAVED = """
import torch
torch.manual_seed(0)
model = torch.nn.Module()
model.encoder = torch.nn.Module()
model.encoder.rnn = torch.nn.LSTM(3, 4, 2, bidirectional=True)
model.fc = torch.nn.Linear(8, 2)
state = model.state_dict()
torch.save(state, "state.pt")
adam = torch.optim.Adam(model.parameters())
model.fc(model.encoder.rnn(torch.ones(1, 2, 3))[0]).sum().backward()
adam.step()
state = model.state_dict()
torch.save({"epoch": 3, "lr": 0.5, "names": ["a", ("b", None, True)], "net": state, "adam": adam.state_dict()}, "training.pt")
flat = torch.arange(24.0, dtype=torch.float64)
tensors = {
    "transposed": flat.reshape(4, 6).T,
    "part": flat[5:9],
    "parameter": torch.nn.Parameter(flat[:3]),
    "half": torch.tensor([0.1, -2.5], dtype=torch.float16),
    "bfloat16": torch.tensor([0.1, -2.5], dtype=torch.bfloat16),
    "whole": torch.arange(3),
    "expanded": flat[:1].expand(1000),
    "nothing": torch.zeros(0, 3),
}
torch.save({name: each for name, each in tensors.items() if name != "expanded"}, "tensors.pt")
torch.save(tensors, "expanded.pt")
torch.save(model.encoder.rnn, "module.pt")
torch.save(state, "old.pt", _use_new_zipfile_serialization=False)
torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), "script.pt")
quantised = lambda of, kinds: torch.ao.quantization.quantize_dynamic(of, kinds, dtype=torch.qint8).state_dict()
torch.save(quantised(model, {torch.nn.LSTM}), "quantised.pt")
torch.save(quantised(model, {torch.nn.Linear}), "quantised_readout.pt")
torch.save(quantised(torch.nn.ModuleDict({"cell": torch.nn.LSTMCell(3, 4)}), {torch.nn.LSTMCell}), "quantised_cell.pt")
torch.save({"weight_ih_l0": torch.quantize_per_tensor(flat.float(), 0.1, 0, torch.quint8)}, "quantised_tensor.pt")
torch.save({"dtype": torch.float32, "net": state}, "with_dtype.pt")
import numpy
numpy.savez("expected.npz", **{"encoder." + n: e.numpy() for n, e in model.encoder.state_dict().items()},
            **{n: e.detach().double().numpy() for n, e in tensors.items()})
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torch")
    subprocess.run([sys.executable, "-W", "ignore", "-c", SAVED], cwd=folder, check=True, timeout=120)
    return folder


def test_a_state_dict_is_found_within_a_trainings_checkpoint(saved):
    found = find(saved / "training.pt")
    assert (found.path, found.layers, found.directions, found.block.hidden) == ("net.encoder.rnn", 2, 2, 4)
    expected = np.load(saved / "expected.npz")
    for name, array in found.tensors().items():
        assert array.tolist() == expected[f"encoder.rnn.{name}"].tolist(), name
    assert found.readout(2, None) == {"readout.weight": "net.fc.weight", "readout.bias": "net.fc.bias"}
    assert find(saved / "state.pt").path == "encoder.rnn"


def test_tensors_that_lie_otherwise_are_read_as_they_are(saved):
    stored, expected = opened(saved / "tensors.pt").tensors, np.load(saved / "expected.npz")
    assert stored["whole"].dtype == "long"
    for name in ("transposed", "part", "parameter", "half", "bfloat16", "nothing"):
        array = stored[name].read()
        assert array.shape == expected[name].shape
        assert array.astype(np.float64).tolist() == expected[name].tolist()
        assert array.dtype == ("float64" if name in ("transposed", "part", "parameter") else "float32")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("module.pt", r"torch\.nn\.modules\.rnn\.LSTM in it, and unpickling that runs code; give a state dict"),
        ("old.pt", "before torch 1.6"),
        ("script.pt", "TorchScript|runs code|more than name tensors|compressed"),
        ("quantised.pt", r"quantised model \(torch\.ScriptObject\).* before it was quantised"),
        ("quantised_readout.pt", r"quantised model .* if its recurrent layers are not quantised, save theirs alone"),
        ("quantised_cell.pt", r"quantised model .* before it was quantised"),
        ("quantised_tensor.pt", r"quantised model .* before it was quantised"),
        ("with_dtype.pt", r"has torch\.float32 in its pickle, which is no tensor"),
        ("expanded.pt", r"expanded: \(1000,\) of .* contiguous"),
    ],
)
def test_what_is_more_than_tensors_is_refused(saved, file, words):
    with pytest.raises(CheckpointRefused, match=words):
        find(saved / file)


@pytest.mark.parametrize("file", ["quantised.pt", "quantised_cell.pt", "quantised_tensor.pt"])
def test_a_quantised_state_dict_is_not_said_to_be_none(saved, file):
    with pytest.raises(CheckpointRefused) as refused:
        find(saved / file)
    assert "give a state dict" not in str(refused.value)
    assert "runs code" not in str(refused.value)
