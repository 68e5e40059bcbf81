"""Numbers that are not those that were written: refused wherever they are read, in a case as in a port."""

import json
import random
import shutil
import struct
import zipfile

import numpy as np
import pytest

from harness.case import CaseFile, read
from harness.checkpoint import CheckpointRefused, find
from harness.checkpoint.checksum import LANES, ONES, _continued, crc32c, masked
from harness.checkpoint.table import END, entries, fields_of
from tests.checkpoint.files import HERE, NUMBERS

DATA = "lstm.data-00000-of-00001"
CASE = "sizes: {batch: 2, time: 4, input: 3, hidden: 2}\ncell: lstm\nlayers: 2\nbidirectional: true\n"


@pytest.fixture
def tensorflow(tmp_path):
    """A copy of a checkpoint of TensorFlow 1."""
    for name in ("lstm.index", DATA):
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


def test_every_flipped_byte_of_a_tensorflow_checkpoint_is_noticed_in_a_case(tensorflow):
    content = (tensorflow / DATA).read_bytes()
    (tensorflow / "x.yaml").write_text(f"{CASE}weights: {{checkpoint: lstm.index}}\n")
    assert read(CaseFile(tensorflow / "x.yaml", tensorflow)).cases
    for place in random.Random(0).sample(range(len(content)), 30):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        (tensorflow / DATA).write_bytes(damaged)
        found = read(CaseFile(tensorflow / "x.yaml", tensorflow))
        assert not found.cases, f"byte {place}"
        (wrong,) = found.mistakes
        assert "is damaged: the numbers of stack_bidirectional_rnn/cell_" in wrong.problem
        assert "have another checksum than in the index" in wrong.problem


def varint(number):
    found = []
    while number or not found:
        found.append((number & 0x7F) | (0x80 if number > 0x7F else 0))
        number >>= 7
    return bytes(found)


def block(pairs):
    body = b"".join(b"\0" + varint(len(key)) + varint(len(value)) + key + value for key, value in pairs)
    body += bytes(4) + b"\x01\0\0\0"
    return body + b"\0" + masked(crc32c(body + b"\0")).to_bytes(4, "little")


def moved(entry, offset, content):
    """Write a tensor's entry anew, with its numbers elsewhere and the checksum that is right there."""
    fields = fields_of(entry)
    (size,) = fields[5]
    checksum = masked(crc32c(content[offset : offset + size])).to_bytes(4, "little")
    shape = fields[2][0]
    start = b"\x08" + varint(fields[1][0]) + b"\x12" + varint(len(shape)) + shape
    return start + b"\x20" + varint(offset) + b"\x28" + varint(size) + b"\x35" + checksum


def test_tensors_of_tensorflow_that_lie_over_each_other_are_refused(tensorflow):
    table = entries((tensorflow / "lstm.index").read_bytes())
    content = (tensorflow / DATA).read_bytes()
    names = [name for name in table if name.endswith("/bias")]
    table[names[0]] = moved(table[names[0]], 8, content)
    data = block([(name.encode(), value) for name, value in table.items()])
    places = block([(b"\xff", varint(0) + varint(len(data) - 5))])
    footer = varint(0) + varint(0) + varint(len(data)) + varint(len(places) - 5)
    (tensorflow / "lstm.index").write_bytes(data + places + footer.ljust(40, b"\0") + END)
    with pytest.raises(CheckpointRefused, match=f"is damaged: .* overlap in {DATA}"):
        find(tensorflow / "lstm.index")


def safetensors(header):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 64


def test_tensors_of_safetensors_that_lie_over_each_other_are_refused(tmp_path):
    places = {"a": [0, 32], "b": [28, 60]}
    header = {name: {"dtype": "F32", "shape": [8], "data_offsets": each} for name, each in places.items()}
    (tmp_path / "m.safetensors").write_bytes(safetensors(header))
    with pytest.raises(CheckpointRefused, match="is damaged: a and b overlap in the file"):
        find(tmp_path / "m.safetensors")


def test_a_name_that_a_file_has_twice_is_refused(tmp_path):
    entry = b'"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}'
    (tmp_path / "m.safetensors").write_bytes(safetensors(b"{" + entry + b"," + entry + b"}"))
    with pytest.raises(CheckpointRefused, match="its header has a name twice"):
        find(tmp_path / "m.safetensors")
    shutil.copy(NUMBERS, tmp_path / "m.npz")
    with zipfile.ZipFile(tmp_path / "m.npz", "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("layer0.W_xh.npy", archive.read("layer0.W_xh.npy"))
    with pytest.raises(CheckpointRefused, match=r"has two members called layer0\.W_xh\.npy"):
        find(tmp_path / "m.npz")


@pytest.mark.parametrize("length", [0, 1, 2 * LANES - 1, 2 * LANES, 2 * LANES + 1, 5 * LANES + 3])
def test_the_checksum_by_lanes_is_that_byte_by_byte(length):
    content = np.random.default_rng(length).bytes(length)
    assert crc32c(content) == _continued(ONES, content) ^ ONES
