"""Keras' ``.keras``, ``.weights.h5`` and ``.h5``: HDF5 files, the first in a zip archive beside the layers' configs.

Keras is not asked: loading a ``.keras`` file by it makes objects that the file names. HDF5 has links into other files,
data that lies in other files, and data that unpack to any size; none of that is followed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy import ndarray
from typing_extensions import override

from harness.checkpoint.archive import archive, as_it_is
from harness.checkpoint.base import CheckpointRefused, Format, Stored, told

if TYPE_CHECKING:
    import h5py

NAME = "a Keras file of weights"
MOST_CONFIG = 2**26
"""Bytes of config.json."""

DEEPEST, MOST_OBJECTS = 64, 100_000
"""Groups within groups, and groups and tensors, that are looked at: groups can hold themselves."""


class Keras(Format):
    """``model.save`` and ``model.save_weights``."""

    name = NAME
    suffixes = (".keras", ".h5")
    layout = "keras"

    @override
    def tensors(self, path: Path) -> Mapping[str, Stored]:
        if find_spec("h5py") is None:
            raise CheckpointRefused(f"is {NAME}, and h5py is not installed", "pip install 'bptt-harness[checkpoints]'")
        import h5py

        content, configs = _content(path)
        with told(NAME), h5py.File(content, "r") as file:
            found = list(_datasets(file))  # all of it, so that no link is left that a name below could lead through
            return {
                name: Stored(
                    tuple(map(int, dataset.shape)),
                    dataset.dtype.name,
                    partial(_read, content, name),
                    said=_said(file, name, configs),
                )
                for name, dataset in found
            }


def _content(path: Path) -> tuple[Path | io.BytesIO, Mapping[str, Any]]:
    """Return what h5py is to open, and the layers' configs by name."""
    if path.suffix != ".keras":
        return path, {}
    with archive(path, NAME) as opened:
        content = as_it_is(opened, "model.weights.h5")
        config = json.loads(as_it_is(opened, "config.json", MOST_CONFIG))
        return io.BytesIO(content), dict(_configs(config))


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

    with told(NAME), h5py.File(content, "r") as file:
        array: ndarray = file[name][()]
        return array


def _configs(config: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Find every layer and cell in a model's config, by its name; one that stands inside another has two."""
    waiting = [config]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            own = each.get("config")
            if isinstance(own, dict) and isinstance(own.get("name"), str):
                yield own["name"], {**own, "class_name": each.get("class_name")}
            waiting += each.values()


def _said(file: h5py.File, tensor: str, configs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is said of a tensor's layer: the config of the outermost group on the way to it that has units."""
    said: dict[str, Any] = {}
    parts = tensor.split("/")
    for depth in range(1, len(parts)):
        of_layer = file.get("/".join([*parts[:depth], "vars"]))
        config = configs.get(of_layer.attrs.get("name"), {}) if of_layer is not None and configs else {}
        if "merge_mode" in config:
            said["merge_mode"] = config["merge_mode"]
        if "units" in config:
            return {**config, **said}
    return said


FORMAT = Keras()
