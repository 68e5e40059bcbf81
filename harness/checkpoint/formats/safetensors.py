"""``.safetensors``: a JSON header, and the numbers behind it.

The format's description (github.com/huggingface/safetensors): eight bytes for the header's length, little-endian, the
header, then one buffer without holes. It is read here because its NumPy reader does not support bfloat16.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from typing_extensions import override

from harness.checkpoint.base import CheckpointRefused, Format, Stored, refuse_overlaps, refusing

NAME = "a .safetensors file"
MOST_HEADER = 100_000_000
"""Maximum bytes of the header, by the format's description."""

DTYPES = {"F16": ("float16", 2), "BF16": ("bfloat16", 2), "F32": ("float32", 4), "F64": ("float64", 8)}


class SafetensorsFormat(Format):
    """``safetensors.torch.save_file`` and its kin."""

    name = NAME
    suffixes = (".safetensors",)

    @override
    def holds(self, path: Path, head: bytes, members: Collection[str]) -> bool:
        return head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= min(
            MOST_HEADER, path.stat().st_size - 8
        )

    @override
    def tensors(self, path: Path) -> Mapping[str, Stored]:
        with refusing(NAME), path.open("rb") as file:
            size = path.stat().st_size
            (length,) = struct.unpack("<Q", file.read(8))
            if not 2 <= length <= min(MOST_HEADER, size - 8):
                raise CheckpointRefused(f"cannot be read as {NAME}: its header would have {length:,} bytes")
            header = json.loads(file.read(length).decode(), object_pairs_hook=_without_doubles)
            if not isinstance(header, dict):
                raise CheckpointRefused(f"cannot be read as {NAME}: its header is no mapping")
            header.pop("__metadata__", None)
            found = {name: _stored(path, name, each, 8 + length, size) for name, each in header.items()}
            refuse_overlaps((*map(int, each["data_offsets"]), name) for name, each in header.items())
            return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header has a name twice")
    return found


def _stored(path: Path, name: str, said: Any, start: int, size: int) -> Stored:
    shape, (first, last) = tuple(map(int, said["shape"])), map(int, said["data_offsets"])
    dtype, width = DTYPES.get(said["dtype"], (str(said["dtype"]), 0))
    count = 1
    for each in shape:
        count *= each
    if not 0 <= first <= last <= size - start:
        raise CheckpointRefused(f"is truncated: {name} ends {start + last - size:,} bytes past the end of the file")
    if width and (min(shape, default=0) < 0 or last - first != count * width):
        raise CheckpointRefused(f"is damaged: {name} says {shape} of {dtype}, and has {last - first:,} bytes")
    return Stored(shape, dtype, partial(_read, path, start + first, last - first))


def _read(path: Path, start: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


FORMAT = SafetensorsFormat()
