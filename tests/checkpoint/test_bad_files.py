"""Files that are damaged, foreign or hostile: a clear refusal, and nothing in them is run, followed or unpacked."""

import io
import json
import pickle
import random
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from harness.checkpoint import CheckpointRefused, find, format_of
from harness.checkpoint.checksum import crc32c
from tests.checkpoint.files import FILES, HERE, LAYERS

IDS = [each.name for each in FILES]


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def found_in(path):
    return find(path, layer=LAYERS.get(path.name))


def refused(path, words="."):
    with pytest.raises(CheckpointRefused, match=words) as caught:
        found_in(path).tensors()
    return str(caught.value)


def copied(file, folder):
    """Return a copy of a file, with what belongs to it."""
    for each in HERE.glob(f"{file.name.partition('.')[0]}.data-*") if file.suffix == ".index" else ():
        shutil.copy(each, folder)
    return Path(shutil.copy(file, folder))


def rezipped(path, **changes):
    """Write an archive anew, with some members replaced by their name's end; None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            change = next((new for end, new in changes.items() if name.endswith(end.replace("_dot_", "."))), content)
            if change is not None:
                archive.writestr(name, change)
    return path


@pytest.mark.parametrize("file", FILES, ids=IDS)
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, file, share):
    path = copied(file, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path, "cannot be read as|truncated|damaged|bare pickle")


def test_truncated_numbers_of_tensorflow_are_refused(tmp_path):
    path = copied(HERE / "lstm.index", tmp_path)
    data = tmp_path / "lstm.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-4])
    refused(path, "is truncated: .* ends at byte 832 of lstm.data-00000-of-00001, which has 828")
    data.unlink()
    refused(path, "has no lstm.data-00000-of-00001 beside it")


@pytest.mark.parametrize("file", FILES, ids=IDS)
@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 200, b"not weights at all\n" * 20, b"PK\x03\x04 torn"],
    ids=["empty", "zeros", "text", "torn"],
)
def test_a_foreign_file_is_refused(tmp_path, file, content):
    path = copied(file, tmp_path)
    path.write_bytes(content)
    refused(path, "cannot be read as")


RENAMED = [each for each in FILES if each.suffix != ".index"]


@pytest.mark.parametrize("file", RENAMED, ids=[each.name for each in RENAMED])
@pytest.mark.parametrize(
    "name", ["model.ckpt", "model.bin", "model.pth.tar", "model", "model.pt", "model.npz", "model.h5"]
)
def test_a_file_is_read_by_its_content_whatever_its_name(tmp_path, file, name):
    path = Path(shutil.copy(file, tmp_path / name))
    layer = LAYERS.get(file.name)
    expected = find(file, layer=layer).tensors()
    assert {n: e.tolist() for n, e in find(path, layer=layer).tensors().items()} == {
        n: e.tolist() for n, e in expected.items()
    }


@pytest.mark.parametrize(
    ("mode", "words"), [("w", "is a tar archive.*; unpack it: tar -xf model.tar"), ("w:gz", "packed by gzip.*: gunzip")]
)
def test_an_archive_around_a_file_is_named(tmp_path, mode, words):
    with tarfile.open(tmp_path / "model.tar", mode) as made:
        made.add(HERE / "lstm.pt", "lstm.pt")
    refused(tmp_path / "model.tar", words)


def test_the_index_of_a_checkpoint_under_another_name_is_told_what_it_lacks(tmp_path):
    shutil.copy(HERE / "lstm.index", tmp_path / "model.ckpt")
    refused(tmp_path / "model.ckpt", "there is no model.ckpt.index beside it")


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_damaged_bytes_never_end_in_a_traceback(tmp_path, file):
    """Some thirty copies of each, with bytes changed here and there: read as numbers, or refused."""
    random_bytes = random.Random(file.name)
    path = copied(file, tmp_path)
    content = path.read_bytes()
    for _ in range(30):
        damaged = bytearray(content)
        for _ in range(random_bytes.choice([1, 1, 3, 20])):
            damaged[random_bytes.randrange(len(damaged))] = random_bytes.randrange(256)
        path.write_bytes(damaged)
        try:
            tensors = found_in(path).tensors()
        except CheckpointRefused:
            continue
        assert all(each.dtype in (np.float32, np.float64) for each in tensors.values())


@pytest.mark.parametrize("file", [each for each in FILES if zipfile.is_zipfile(each)], ids=lambda file: file.name)
def test_an_encrypted_archive_is_refused(tmp_path, file):
    path = copied(file, tmp_path)
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(signature)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(signature, at + 1)
    path.write_bytes(content)
    refused(path, "is encrypted .* never is")


def test_a_bare_pickle_is_not_unpickled(tmp_path):
    path, made = tmp_path / "model.pt", tmp_path / "made"
    path.write_bytes(pickle.dumps({"weight_ih_l0": Hostile(made)}, 2))
    refused(path, "bare pickle")
    assert not made.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_within_an_archive_is_not_unpickled(tmp_path, protocol):
    path, made = copied(HERE / "lstm.pt", tmp_path), tmp_path / "made"
    rezipped(path, data_dot_pkl=pickle.dumps({"weight_ih_l0": Hostile(made)}, protocol))
    assert "state_dict" in refused(path, "unpickling that runs code|more than name tensors")
    assert not made.exists()
    pickle.loads(pickle.dumps(Hostile(made), protocol)).close()
    assert made.exists(), "the pickle is one that would have run"


def test_pickled_arrays_are_not_unpickled(tmp_path):
    path, made = tmp_path / "model.npz", tmp_path / "made"
    np.savez(path, **{"layer0.W_xh": np.array([Hostile(made)], object)})
    refused(path, "pickled objects in layer0.W_xh")
    assert not made.exists()


def test_a_pickle_of_mappings_in_mappings_without_end_is_refused_at_once(tmp_path):
    """Each of forty mappings has the next one twice: a million million paths, in a few hundred bytes."""
    mapping = {"weight_ih_l0": 1}
    for _ in range(40):
        mapping = {"a": mapping, "b": mapping}
    path = copied(HERE / "lstm.pt", tmp_path)
    refused(rezipped(path, data_dot_pkl=pickle.dumps(mapping, 2)), "no recurrent layer")


def doubled(start):
    """A program for a tuple of twice a tuple of twice a tuple, and so on, sixty deep."""
    return start + b"q\x00h\x00\x86" * 60


TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (b"\x80\x02cbuiltins\nexec\n.", "builtins.exec"),
        (b"\x80\x02ctorch.nn.modules.rnn\nLSTM\n.", "torch.nn.modules.rnn.LSTM"),
        (b"\x80\x02ctorch\nload\n.", "torch.load"),
        (b"\x80\x02X\x01\x00\x00\x00aK\x01R.", "with a call that makes no tensor"),
        (b"\x80\x02K\x01Q.", "is no storage of torch"),
        (b"\x80\x02h\x07.", "cannot be read"),
        (b"\x80\x02R.", "takes more than its stack has"),
        (b"\x80\x02(K\x01K\x02.", "cannot be read"),
        (b"\x80\x02}]K\x01s.", "is neither text nor number"),
        (b"\x80\x02K\x01K\x02a.", "is no list"),
        (b"\x80\x02" + TENSOR + b")R.", "cannot be read|no recurrent layer"),
        (b"\x80\x02}", "cannot be read"),
        (b"\x80\x02" + doubled(b"K\x01") + b"Q.", "no storage of torch"),
        (b"\x80\x02" + doubled(b"K\x01") + b"K\x01K\x01s.", "no mapping|is no dict|no text"),
        (b"\x80\x02ccollections\nOrderedDict\n" + doubled(b"K\x01") + b"\x85R.", "cannot be read"),
    ],
    ids=[
        "exec",
        "module",
        "function",
        "call",
        "storage",
        "memo",
        "stack",
        "mark",
        "key",
        "append",
        "tensor",
        "end",
        "huge_storage",
        "huge_key",
        "huge_mapping",
    ],
)
def test_a_pickle_that_does_otherwise_is_refused(tmp_path, program, words):
    path = copied(HERE / "lstm.pt", tmp_path)
    refused(rezipped(path, data_dot_pkl=program), words)


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"


@pytest.mark.parametrize(
    ("storage", "shape", "words"),
    [
        (STORAGE, doubled(b"K\x01"), "the shape or the strides of w are none"),
        (STORAGE, b"J\xff\xff\xff\xff\x85", "the shape or the strides of w are none"),
        (STORAGE.replace(b"X\x01\x00\x00\x000", doubled(b"K\x01")), b"K\x02\x85", "the storage of w is none"),
        (STORAGE.replace(b"ctorch\nFloatStorage\n", doubled(b"K\x01")), b"K\x02\x85", "the storage of w is none"),
        (STORAGE, b"K\x02\x85", "no recurrent layer .* w \\(2,\\)"),
    ],
    ids=["huge_shape", "negative_shape", "huge_key", "huge_kind", "right"],
)
def test_a_tensor_that_is_none_is_refused_at_once(tmp_path, storage, shape, words):
    tensor = TENSOR + b"(" + storage + b"K\x00" + shape + b"K\x01\x85\x89NtR"
    path = copied(HERE / "lstm.pt", tmp_path)
    refused(rezipped(path, data_dot_pkl=b"\x80\x02}X\x01\x00\x00\x00w" + tensor + b"s."), words)


def test_a_missing_storage_and_one_too_short_are_refused(tmp_path):
    path = copied(HERE / "lstm.pt", tmp_path)
    refused(rezipped(path, **{"data/0": b"\x00" * 8}), "has 8")
    refused(rezipped(path, **{"data/0": None}), "which .* needs")


@pytest.mark.parametrize("name", ["lstm.pt", "lstm.keras"])
def test_what_would_unpack_to_any_size_is_refused(tmp_path, name):
    path = copied(HERE / name, tmp_path)
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content + b"\x00" * 10**6)
    refused(path, "compressed, which its framework never does")


def test_an_array_that_says_it_is_larger_than_its_bytes_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)})
    with zipfile.ZipFile(tmp_path / "model.npz", "w") as archive:
        archive.writestr("layer0.W_xh.npy", header.getvalue() + b"\x00" * 16)
    refused(tmp_path / "model.npz", "is damaged: layer0.W_xh.npy")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 80]}}, "truncated: a ends 72 bytes past"),
        ({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, "damaged: a says"),
        ({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}, "damaged"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}, "truncated"),
        ({"a": {"dtype": "F32"}}, "cannot be read"),
        ({"a": 3}, "cannot be read"),
        ([1], "no mapping"),
    ],
    ids=["past_the_end", "too_few", "negative", "before_the_start", "without_a_shape", "number", "list"],
)
def test_a_safetensors_header_that_does_not_fit_is_refused(tmp_path, header, words):
    text = json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\x00" * 8)
    refused(path, words)


@pytest.fixture
def weights(tmp_path):
    """A Keras file of weights to which things are done."""
    return h5py.File(tmp_path / "lstm.weights.h5", "w")


@pytest.mark.parametrize(
    "kind", ["external link", "soft link", "external data", "virtual data", "packed data", "no data"]
)
def test_what_keras_never_writes_is_not_followed(tmp_path, weights, kind):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as other:
        other["x"] = np.ones((3, 8), np.float32)
    name = "layers/lstm/cell/vars/0"
    weights["layers/lstm/cell/vars/1"] = np.ones((2, 8), np.float32)
    match kind:
        case "external link":
            weights[name] = h5py.ExternalLink(str(secret), "x")
        case "soft link":
            weights[name] = h5py.SoftLink("/layers/lstm/cell/vars/1")
        case "external data":
            weights.create_dataset(name, (3, 8), "f4", external=[(str(secret), 0, 96)])
        case "virtual data":
            layout = h5py.VirtualLayout((3, 8), "f4")
            layout[:] = h5py.VirtualSource(str(secret), "x", (3, 8))
            weights.create_virtual_dataset(name, layout)
        case "packed data":
            weights.create_dataset(name, (10**4, 8), "f4", compression="gzip")
        case "no data":
            weights.create_dataset(name, (10**9, 10**9), "f4", chunks=(1, 1))
    weights.close()
    refused(tmp_path / "lstm.weights.h5", "Keras writes")


def test_groups_that_hold_themselves_are_refused(tmp_path, weights):
    weights.create_group("a")
    weights["a/a"] = weights["a"]
    weights.close()
    refused(tmp_path / "lstm.weights.h5", "without end")


def test_an_unknown_name_and_a_missing_file_are_told(tmp_path):
    for name in ("model.bin", "model.pt", "model.index"):
        refused(tmp_path / name, "does not exist")
    (tmp_path / "model.bin").write_text("not weights at all")
    assert "should end in" in refused(tmp_path / "model.bin", "no known checkpoint")
    (tmp_path / "folder.npz").mkdir()
    refused(tmp_path / "folder.npz", "is no file")


def test_a_tensorflow_checkpoint_is_named_by_its_prefix_too(tmp_path):
    copied(HERE / "lstm.index", tmp_path)
    assert format_of(tmp_path / "lstm").layout == "tf1"
    assert find(tmp_path / "lstm").layers == find(tmp_path / "lstm.data-00000-of-00001").layers == 2


def test_the_checksum_is_that_of_the_castagnoli_polynomial():
    """The check value of CRC-32C: RFC 3720, appendix B.4, has those of zeros and of ones."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"\x00" * 32) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


def test_without_h5py_the_command_that_installs_it_is_told(monkeypatch):
    monkeypatch.setattr("harness.checkpoint.formats.keras.find_spec", lambda _: None)
    assert "pip install 'bptt-harness[checkpoints]'" in refused(HERE / "lstm.keras", "h5py is not installed")


def test_a_damaged_index_is_noticed_by_its_checksum(tmp_path):
    path = copied(HERE / "lstm.index", tmp_path)
    content = bytearray(path.read_bytes())
    content[content.index(b"kernel")] ^= 1
    path.write_bytes(content)
    refused(path, "it has another checksum")


@pytest.mark.parametrize(
    ("said", "instead", "words"),
    [
        (
            '"activation": "tanh"',
            '"activation": "relu"',
            "activation 'relu'; the harness has 'tanh' alone in an lstm",
        ),
        (
            '"recurrent_activation": "sigmoid"',
            '"recurrent_activation": "hard_sigmoid"',
            "recurrent_activation 'hard_sigm",
        ),
        ('"merge_mode": "concat"', '"merge_mode": "sum"', "merge_mode 'sum'; the harness has 'concat'"),
        ('"merge_mode": "concat", ', "", "merge_mode left out"),
    ],
    ids=["activation", "gates", "merge", "no_merge"],
)
def test_a_keras_layer_that_the_harness_has_not_is_refused(tmp_path, said, instead, words):
    path = copied(HERE / "lstm.keras", tmp_path)
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json").decode()
    assert said in config
    refused(rezipped(path, config_dot_json=config.replace(said, instead)), words)


def test_nothing_is_made_of_a_keras_config(tmp_path):
    """Keras would look for the class, and of a Lambda run the code."""
    path, made = copied(HERE / "lstm.keras", tmp_path), tmp_path / "made"
    code = {"class_name": "__lambda__", "config": {"code": pickle.dumps(Hostile(made), 0).decode()}}
    hostile = {"module": "os", "class_name": "Lambda", "config": {"name": "lstm", "function": code, "units": {}}}
    refused(rezipped(path, config_dot_json=json.dumps(hostile)), "has a Lambda .*lstm.*, which is code")
    assert not made.exists()
    refused(rezipped(path, config_dot_json="[" * 100_000), "cannot be read as")


def test_a_link_in_the_place_of_a_layers_name_is_not_followed(tmp_path, weights):
    """The name is looked up where a layer's own variables are; a link there comes after the tensors in the file."""
    weights["layers/lstm/cell/vars/0"] = np.ones((3, 8), np.float32)
    weights["layers/lstm/vars"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
    weights.close()
    refused(tmp_path / "lstm.weights.h5", "has a link at layers/lstm/vars")


def test_blocks_that_lie_over_each_other_are_refused(tmp_path):
    """An index that names one block ten thousand times."""
    from harness.checkpoint.checksum import crc32c, masked
    from harness.checkpoint.table import MAGIC, entries

    def block(pairs):
        body = (
            b"".join(bytes([0, len(key), len(value)]) + key + value for key, value in pairs) + bytes(4) + b"\x01\0\0\0"
        )
        return body + b"\0" + masked(crc32c(body + b"\0")).to_bytes(4, "little")

    data = block([(b"a", b"x" * 60)])
    place = bytes([0, len(data) - 5])
    for times, fits in ((1, True), (10_000, False)):
        index = block([(b"a", place)] * times)
        size, number = len(index) - 5, []
        while size or not number:
            number.append((size & 0x7F) | (0x80 if size > 0x7F else 0))
            size >>= 7
        footer = bytes([0, 0, len(data), *number]).ljust(40, b"\0") + MAGIC.to_bytes(8, "little")
        if fits:
            assert entries(data + index + footer) == {"a": b"x" * 60}
        else:
            with pytest.raises(ValueError, match="overlap"):
                entries(data + index + footer)
