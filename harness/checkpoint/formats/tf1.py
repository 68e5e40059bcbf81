"""Checkpoints of TensorFlow 1: ``PREFIX.index`` lists the tensors, ``PREFIX.data-00000-of-00001`` has the numbers.

The index is a sorted table of keys and protocol buffers, by tensorflow/core/util/tensor_bundle: the empty key has the
header, and each other key is a tensor's name. This reader replaces ``tf.train.load_checkpoint``, so that TensorFlow
need not be installed, nor take five seconds to start.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache, partial
from pathlib import Path

from typing_extensions import override

from harness.checkpoint.base import CheckpointRefused, Format, Stored, refuse_overlaps, refusing
from harness.checkpoint.checksum import crc32c, masked
from harness.checkpoint.table import END, Fields, entries, fields_of, first

NAME = "a TensorFlow checkpoint"
INDEX = ".index"
MOST_INDEX = 2**26
"""Maximum bytes of the index; 100,000 tensors have about ten million."""

DTYPES = {1: ("float32", 4), 2: ("float64", 8), 14: ("bfloat16", 2), 19: ("float16", 2)}
"""The dtypes by their numbers in tensorflow/core/framework/types.proto."""

TEXT = 7
"""The number of the dtype of texts."""


class TF1Format(Format):
    """``tf.compat.v1.train.Saver``. The prefix names a checkpoint, too."""

    name = NAME
    suffixes = (INDEX, ".data-00000-of-00001")
    layout = "tf1"

    @override
    def holds(self, path: Path, head: bytes, members: Collection[str]) -> bool:
        if not head or ".data-" in path.name:
            return False
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - len(END)))
            return file.read() == END

    @override
    def files(self, path: Path) -> list[Path]:
        prefix = prefix_of(path)
        index = prefix.with_name(prefix.name + INDEX)
        return [index, *sorted(prefix.parent.glob(f"{_escaped(prefix.name)}.data-?????-of-?????"))]

    @override
    def tensors(self, path: Path) -> Mapping[str, Stored]:
        index, *shards = self.files(path)
        with refusing(NAME):
            if index.stat().st_size > MOST_INDEX:
                raise CheckpointRefused(
                    f"has an index of {index.stat().st_size:,} bytes; at most {MOST_INDEX:,} are read"
                )
            table = entries(index.read_bytes())
            header = fields_of(table.pop("", b""))
            count = first(header, 1, 0)
            if first(header, 2, 0) != 0:
                raise CheckpointRefused("was written on a big-endian machine", "write it on a little-endian one")
            expected = [f"{prefix_of(path).name}.data-{n:05}-of-{count:05}" for n in range(min(count, 100_000))]
            there = {shard.name: shard for shard in shards}
            if missing := [name for name in expected if name not in there]:
                raise CheckpointRefused(f"has no {missing[0]} beside it, the file of the numbers")
            shards = [there[each] for each in expected]
            entries_of = {name: fields_of(said) for name, said in table.items()}
            found = {name: _stored(name, fields, shards) for name, fields in entries_of.items()}
            for number, shard in enumerate(shards):
                own = {name: each for name, each in entries_of.items() if first(each, 3, 0) == number}
                _check_numbers(shard, own)
            return found


def prefix_of(path: Path) -> Path:
    """Return the common prefix of a checkpoint's files."""
    name = path.name.partition(".data-")[0] if ".data-" in path.name else path.name.removesuffix(INDEX)
    return path.with_name(name)


def _escaped(name: str) -> str:
    return "".join(f"[{each}]" if each in "*?[" else each for each in name)


def _stored(name: str, fields: Fields, shards: list[Path]) -> Stored:
    number = first(fields, 1, 0)
    dtype, width = DTYPES.get(number, (f"number {number} of TensorFlow's types", 0))
    dimensions = [fields_of(each) for each in fields_of(first(fields, 2, b"")).get(2, [])]
    shape = tuple(first(each, 1, 0) for each in dimensions)
    shard, offset, size = shards[first(fields, 3, 0)], first(fields, 4, 0), first(fields, 5, 0)
    count = 1
    for each in shape:
        count *= each
    if 7 in fields:
        raise CheckpointRefused(f"has {name} in slices of a partitioned variable", "save it without a partitioner")
    if width and size != count * width:
        raise CheckpointRefused(f"is damaged: {name} says {shape} of {dtype}, and has {size:,} bytes")
    if (there := shard.stat().st_size) < offset + size:
        raise CheckpointRefused(
            f"is truncated: {name} ends at byte {offset + size:,} of {shard.name}, which has {there:,}"
        )
    return Stored(shape, dtype, partial(_read, shard, offset, size))


def _read(shard: Path, offset: int, size: int) -> bytes:
    with shard.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _check_numbers(shard: Path, entries_of: Mapping[str, Fields]) -> None:
    """Check that each tensor of a file has its checksum in the index, and its own bytes.

    Raises:
        CheckpointRefused: if one does not.
    """
    places = {name: (first(each, 4, 0), first(each, 5, 0)) for name, each in entries_of.items()}
    refuse_overlaps(((offset, offset + size, name) for name, (offset, size) in places.items()), shard.name)
    # The checksum of a text is another.
    sums = {name: first(each, 6, b"") for name, each in entries_of.items() if first(each, 1, 0) != TEXT}
    stamp = shard.stat()
    damaged = _damaged(
        shard.absolute(), stamp.st_mtime_ns, stamp.st_size, tuple((n, *places[n], each) for n, each in sums.items())
    )
    if damaged:
        raise CheckpointRefused(
            f"is damaged: the numbers of {damaged} in {shard.name} have another checksum than in the index",
            "copy the checkpoint anew",
        )


@lru_cache(maxsize=64)
def _damaged(shard: Path, changed: int, length: int, places: tuple[tuple[str, int, int, bytes], ...]) -> str:
    """Return the first tensor with bytes of another checksum; empty if there is none.

    Args:
        shard: the file.
        changed: the time of its last change, so that an answer holds for one content.
        length: its length, for the same reason.
        places: for each tensor its name, its first byte, its length and its checksum.
    """
    del changed, length
    for name, offset, size, checksum in places:
        if checksum != masked(crc32c(_read(shard, offset, size))).to_bytes(4, "little"):
            return name
    return ""


FORMAT = TF1Format()
