"""Keras' ``.keras``, ``.weights.h5`` and ``.h5``: HDF5 files, the first in a zip archive beside the layers' configs.

Keras is not used: it makes objects that a ``.keras`` file names. HDF5 has links into other files, data in other files,
and data that unpack to any size; none of that is followed.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy import ndarray
from typing_extensions import override

from harness.checkpoint.archive import archive, as_it_is
from harness.checkpoint.base import CheckpointRefused, Format, Stored, refusing
from harness.checkpoint.model import Model, model_of

if TYPE_CHECKING:
    import h5py

NAME = "a Keras file of weights"
HDF5 = b"\x89HDF\r\n\x1a\n"
WEIGHTS = "model.weights.h5"
"""The member of a ``.keras`` archive that has the numbers."""

MOST_CONFIG = 2**26
"""Maximum bytes of config.json."""

DEEPEST, MOST_OBJECTS = 64, 100_000
"""Maximum depth of groups, and maximum of groups and tensors: groups can contain themselves."""


class KerasFormat(Format):
    """``model.save`` and ``model.save_weights``."""

    name = NAME
    suffixes = (".keras", ".h5")
    layout = "keras"

    @override
    def holds(self, path: Path, head: bytes, members: Collection[str]) -> bool:
        return head.startswith(HDF5) or WEIGHTS in members

    @override
    def tensors(self, path: Path) -> Mapping[str, Stored]:
        if find_spec("h5py") is None:
            raise CheckpointRefused(f"is {NAME}, and h5py is not installed", "pip install 'bptt-harness[checkpoints]'")
        import h5py

        content = _content(path)
        with refusing(NAME), h5py.File(content, "r") as file:
            found = list(_datasets(file))  # everything, so that no name leads through a link
            return {
                name: Stored(tuple(map(int, dataset.shape)), dataset.dtype.name, partial(_read, content, name))
                for name, dataset in found
            }

    @override
    def model(self, path: Path, tensors: Mapping[str, Stored]) -> Model | None:
        import h5py

        with refusing(NAME):
            if zipfile.is_zipfile(path):
                with archive(path, NAME) as opened:
                    config = json.loads(as_it_is(opened, "config.json", MOST_CONFIG))
                    about = json.loads(as_it_is(opened, "metadata.json", MOST_CONFIG))
                return model_of(config, str(about["keras_version"]), tensors, whole_h5=False)
            with h5py.File(path, "r") as file:
                if "model_config" not in file.attrs:
                    return None
                said, version = (_text(file.attrs.get(each, "")) for each in ("model_config", "keras_version"))
                return model_of(json.loads(said), version, tensors, whole_h5=True)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _content(path: Path) -> Path | io.BytesIO:
    """Return the source that h5py opens."""
    if not zipfile.is_zipfile(path):
        return path
    with archive(path, NAME) as opened:
        return io.BytesIO(as_it_is(opened, WEIGHTS))


def _datasets(group: h5py.Group, path: str = "", left: list[int] | None = None) -> Iterator[tuple[str, h5py.Dataset]]:
    import h5py

    left = [MOST_OBJECTS] if left is None else left
    for key in group:
        name = f"{path}/{key}" if path else key
        left[0] -= 1
        if left[0] < 0 or name.count("/") > DEEPEST:
            raise CheckpointRefused(f"has groups within groups without end, or more than {MOST_OBJECTS:,} tensors")
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise CheckpointRefused(f"has a link at {name}, perhaps into another file; Keras writes none")
        found = group[key]
        if isinstance(found, h5py.Group):
            yield from _datasets(found, name, left)
        elif isinstance(found, h5py.Dataset):
            elsewhere = found.external is not None or found.is_virtual
            if elsewhere or found.chunks is not None or found.id.get_storage_size() != found.nbytes:
                why = "its numbers in another file" if elsewhere else "its numbers packed, or not at all"
                raise CheckpointRefused(f"has {name} with {why}; Keras writes them as they are")
            yield name, found


def _read(content: Path | io.BytesIO, name: str) -> ndarray:
    import h5py

    with refusing(NAME), h5py.File(content, "r") as file:
        array: ndarray = file[name][()]
        return array


FORMAT = KerasFormat()
