"""NumPy's ``.npz``: arrays by name. Pickled objects are refused."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.checkpoint.archive import archive
from harness.checkpoint.base import CheckpointRefused, Format, Stored
from harness.tensors import Shape

NAME = "an .npz file of plain arrays"
ENDING = ".npy"


class NpzFormat(Format):
    """``numpy.savez`` and ``numpy.savez_compressed``."""

    name = NAME
    suffixes = (".npz",)

    @override
    def holds(self, path: Path, head: bytes, members: Collection[str]) -> bool:
        return any(member.endswith(ENDING) for member in members)

    @override
    def tensors(self, path: Path) -> Mapping[str, Stored]:
        found = {}
        with archive(path, NAME) as opened:
            for member in opened.infolist():
                if member.filename.endswith(ENDING):
                    found[member.filename.removesuffix(ENDING)] = _stored(path, opened, member)
        return found


def _stored(path: Path, opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> Stored:
    with opened.open(member) as file:
        shape, dtype = header(file)
        rest = member.file_size - file.tell()
    if dtype.hasobject:
        name = member.filename.removesuffix(ENDING)
        raise CheckpointRefused(f"has pickled objects in {name}, and unpickling runs code", "save plain arrays")
    count = int(np.prod(shape, dtype=object))
    if rest != count * dtype.itemsize:
        raise CheckpointRefused(f"is damaged: {member.filename} says {shape} of {dtype}, and holds {rest:,} bytes")
    return Stored(shape, dtype.name, partial(_read, path, member.filename))


def _read(path: Path, member: str) -> ndarray:
    with archive(path, NAME) as opened, opened.open(member) as file:
        array: ndarray = np.lib.format.read_array(file, allow_pickle=False)
        return array


def header(file: IO[bytes]) -> tuple[Shape, np.dtype[Any]]:
    """Read the shape and the dtype in the header of an .npy file.

    Raises:
        ValueError: if the header has none.
    """
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:  # a later version is for names of fields, which plain arrays do not have
        raise ValueError(f"its array has the format {version}")
    return shape, dtype


FORMAT = NpzFormat()
