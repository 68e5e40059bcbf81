"""A checkpoint in several files, with an index of the file of each tensor: ``model.safetensors.index.json``.

The index is JSON: ``{"metadata": {...}, "weight_map": {"encoder.weight_ih_l0": "model-00001-of-00002.safetensors"}}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from typing_extensions import override

from harness.checkpoint.base import CheckpointRefused, Format, Stored, TensorFile, refusing

NAME = "the index of a checkpoint in several files"
INDEX = ".index.json"
MAP = "weight_map"
MOST_INDEX = 2**26
"""Maximum bytes of the index."""

_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<ending>\.\w+)", re.DOTALL)


class ShardsFormat(Format):
    """Shards of ``.safetensors`` or of torch's ``.bin``, by their index."""

    name = NAME
    suffixes = (INDEX,)

    @override
    def holds(self, path: Path, head: bytes, members: Collection[str]) -> bool:
        return head.lstrip().startswith(b"{") and _mapped(path) is not None

    @override
    def files(self, path: Path) -> list[Path]:
        return [path, *(each.path for each in self.tensor_files(path))]

    @override
    def tensor_files(self, path: Path) -> list[TensorFile]:
        from harness.checkpoint.formats import format_of, formats

        names = {id(each): name for name, each in formats().items()}
        own = (_mapped(path) or {}) if path.is_file() else {}
        shards = [path.with_name(name) for name in dict.fromkeys(own.values())]
        for shard in shards:
            if not shard.is_file():
                raise CheckpointRefused(f"names {shard.name}, and there is no such file beside it")
        return [TensorFile(shard, names[id(format_of(shard))]) for shard in shards]

    @override
    def tensors(self, path: Path) -> Mapping[str, Stored]:
        from harness.checkpoint.formats import formats

        if (own := _mapped(path)) is None:
            raise CheckpointRefused(f"cannot be read as {NAME}: it has no {MAP} of names of files")
        found = {each.path.name: formats()[each.format].tensors(each.path) for each in self.tensor_files(path)}
        for name, file in own.items():
            if name not in found[file]:
                raise CheckpointRefused(f"is damaged: {file} has no {name}, which the index expects there")
        return {name: found[file][name] for name, file in own.items()}


def _mapped(path: Path) -> dict[str, str] | None:
    """Return the file's name for each tensor; None if a file has no such mapping.

    Raises:
        CheckpointRefused: if it names a file in another folder.
    """
    if path.stat().st_size > MOST_INDEX:
        return None
    try:
        with refusing(NAME):
            found = json.loads(path.read_bytes().decode())
    except CheckpointRefused:
        return None
    own = found.get(MAP) if isinstance(found, dict) else None
    if not isinstance(own, dict) or not all(isinstance(each, str) for each in own.values()):
        return None
    for file in own.values():
        if not file or file in (".", "..") or "/" in file or "\\" in file or "\0" in file or file == path.name:
            raise CheckpointRefused(f"names the file {file!r}; the files of a checkpoint lie beside its index")
    return own


def others(path: Path) -> dict[str, str]:
    """Return the other files of a checkpoint with ``path`` as one shard, each with the source of its name."""
    for index in sorted(path.parent.glob(f"*{INDEX}")):
        try:
            own = _mapped(index) if index.is_file() else None
        except CheckpointRefused:
            continue
        if own and path.name in (files := dict.fromkeys(own.values())):
            return {file: f"{index.name}, which can be given instead" for file in files if file != path.name}
    if (said := _SHARD.fullmatch(path.name)) is None or ".data-" in path.name:
        return {}
    numbers = range(1, min(int(said["count"]), 1000) + 1)
    names = [f"{said['stem']}-{n:05}-of-{said['count']}{said['ending']}" for n in numbers]
    return {name: "its own name" for name in names if name != path.name}


FORMAT = ShardsFormat()
