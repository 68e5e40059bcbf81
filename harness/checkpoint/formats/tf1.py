"""Checkpoints of TensorFlow 1: ``PREFIX.index`` says what there is, ``PREFIX.data-00000-of-00001`` has the numbers.

The index is a sorted table of keys and protocol buffers, which tensorflow/core/util/tensor_bundle writes: the empty key
has the header, each other key is a tensor's name. What ``tf.train.load_checkpoint`` reads is read here without it, so
that TensorFlow need not be installed, nor take five seconds to start.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from typing_extensions import override

from harness.checkpoint.base import CheckpointRefused, Format, Stored, told
from harness.checkpoint.table import entries, fields_of, first

NAME = "a TensorFlow checkpoint"
INDEX = ".index"
MOST_INDEX = 2**26
"""Bytes of the index; a hundred thousand tensors have about ten million."""

DTYPES = {1: ("float32", 4), 2: ("float64", 8), 14: ("bfloat16", 2), 19: ("float16", 2)}
"""By their numbers in tensorflow/core/framework/types.proto."""


class TF1(Format):
    """``tf.compat.v1.train.Saver``. The prefix names a checkpoint, too."""

    name = NAME
    suffixes = (INDEX, ".data-00000-of-00001")
    layout = "tf1"

    @override
    def files(self, path: Path) -> list[Path]:
        prefix = prefix_of(path)
        index = prefix.with_name(prefix.name + INDEX)
        return [index, *sorted(prefix.parent.glob(f"{_escaped(prefix.name)}.data-?????-of-?????"))]

    @override
    def tensors(self, path: Path) -> Mapping[str, Stored]:
        index, *shards = self.files(path)
        with told(NAME):
            if index.stat().st_size > MOST_INDEX:
                raise CheckpointRefused(
                    f"has an index of {index.stat().st_size:,} bytes; at most {MOST_INDEX:,} are read"
                )
            table = entries(index.read_bytes())
            header = fields_of(table.pop("", b""))
            count = first(header, 1, 0)
            if first(header, 2, 0) != 0:
                raise CheckpointRefused("is of a big-endian machine", "write it on one like this")
            expected = [f"{prefix_of(path).name}.data-{n:05}-of-{count:05}" for n in range(min(count, 100_000))]
            there = {shard.name: shard for shard in shards}
            if missing := [name for name in expected if name not in there]:
                raise CheckpointRefused(f"has no {missing[0]} beside it, where the numbers are")
            return {name: _stored(name, said, [there[each] for each in expected]) for name, said in table.items()}


def prefix_of(path: Path) -> Path:
    """Return what a checkpoint's files have in common."""
    name = path.name.partition(".data-")[0] if ".data-" in path.name else path.name.removesuffix(INDEX)
    return path.with_name(name)


def _escaped(name: str) -> str:
    return "".join(f"[{each}]" if each in "*?[" else each for each in name)


def _stored(name: str, said: bytes, shards: list[Path]) -> Stored:
    fields = fields_of(said)
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


FORMAT = TF1()
