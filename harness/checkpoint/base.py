"""The base of all file formats of weights, and the tensors of a file before their numbers are read."""

from __future__ import annotations

import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy import ndarray

from harness.tensors import Shape

if TYPE_CHECKING:
    from harness.checkpoint.model import Model

WIDER = {"float16": "float32", "bfloat16": "float32", "float32": "float32", "float64": "float64"}
"""The dtypes that weights may have in a file, each with the one that they are read into; every number stays exact."""


LONGEST = 1000
"""Maximum length of a message about a file: names in it may have any length."""


class CheckpointRefused(ValueError):
    """A checkpoint cannot be used.

    Attributes:
        problem: the reason.
        hint: the nearest valid name, or the remedy; may be empty.
        about: the key of a case's checkpoint that is wrong.
        names: the names that could be accepted, if they are the problem.
    """

    def __init__(self, problem: str, hint: str = "", about: str = "checkpoint", names: tuple[str, ...] = ()) -> None:
        problem, hint = (f"{each[:LONGEST]}..." if len(each) > LONGEST else each for each in (problem, hint))
        super().__init__(f"{problem}; {hint}" if hint else problem)
        self.problem = problem
        self.hint = hint
        self.about = about
        self.names = names


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor of a file.

    Attributes:
        shape: the shape in the file, which has enough numbers for it.
        dtype: NumPy's name of its dtype, or bfloat16, or the name of a dtype that is no float.
        bytes_of: a function that reads the bytes of the numbers.
        byte_order: ``<`` or ``>``.
    """

    shape: Shape
    dtype: str
    bytes_of: Callable[[], bytes | ndarray]
    byte_order: Literal["<", ">"] = "<"

    def read(self) -> ndarray:
        """Return the numbers, in float32 or float64."""
        found = self.bytes_of()
        if isinstance(found, ndarray):
            return np.ascontiguousarray(found.astype(WIDER[self.dtype]))
        if self.dtype == "bfloat16":  # the upper half of a float32
            halves = np.frombuffer(found, f"{self.byte_order}u2").astype(np.uint32)
            return (halves << 16).view(np.float32).reshape(self.shape)
        stored = np.frombuffer(found, np.dtype(self.dtype).newbyteorder(self.byte_order))
        return stored.reshape(self.shape).astype(WIDER[self.dtype])


def not_finite(name: str, array: ndarray) -> str:
    """Return the count of NaN and infinite numbers in a tensor, and the first place; empty if there are none."""
    wrong = ~np.isfinite(array)
    if not wrong.any():
        return ""
    nan = int(np.isnan(array).sum())
    counts = [f"{count} {kind}" for count, kind in ((nan, "NaN"), (int(wrong.sum()) - nan, "infinite")) if count]
    first = [int(each) for each in np.argwhere(wrong)[0]]
    return f"has weights that are not finite: {name} has {' and '.join(counts)} of {array.size:,}, the first at {first}"


def refuse_overlaps(places: Iterable[tuple[int, int, str]], file: str = "the file") -> None:
    """Check that no byte of a file belongs to two tensors.

    Args:
        places: for each tensor its first byte, the byte behind its last, and its name.
        file: the file's name.

    Raises:
        CheckpointRefused: if one does.
    """
    end, last = 0, ""
    for first, behind, name in sorted(places):
        if first < min(end, behind):
            raise CheckpointRefused(f"is damaged: {last} and {name} overlap in {file}")
        if behind > end:
            end, last = behind, name


@dataclass(frozen=True)
class TensorFile:
    """A file that holds tensors of a checkpoint, for a framework to read.

    Attributes:
        path: the file.
        format: the name of its format's module.
    """

    path: Path
    format: str


class Format(ABC):
    """A file format.

    Attributes:
        name: its name for users.
        suffixes: the endings of its files' names, for files without a mark of their format.
        layout: the layout of the format's framework; empty if the format may have any layout.
    """

    name: str
    suffixes: tuple[str, ...]
    layout: str = ""

    @abstractmethod
    def holds(self, path: Path, head: bytes, members: Collection[str]) -> bool:
        """Return whether a file's content is of this format, whatever its name.

        Args:
            path: the file.
            head: its first bytes.
            members: the names of its members, if it is a zip archive.
        """

    def files(self, path: Path) -> list[Path]:
        """Return every file that reading ``path`` opens."""
        return [path]

    @abstractmethod
    def tensors(self, path: Path) -> Mapping[str, Stored]:
        """Return the tensors of a file, by name.

        Raises:
            CheckpointRefused: if the file is not of this format, or has more than tensors.
        """

    def model(self, path: Path, tensors: Mapping[str, Stored]) -> Model | None:
        """Return the recurrent layers by the file's config; None if the file has weights alone.

        Raises:
            CheckpointRefused: if its config is damaged, or if its framework would run code of the file's.
        """
        del path, tensors
        return None

    def tensor_files(self, path: Path) -> list[TensorFile]:
        """Return the files that have the tensors, each with its own format."""
        return [TensorFile(path, type(self).__module__.rpartition(".")[2])]


DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""The errors of readers for bytes that contradict themselves, or for text in place of a number."""


@contextmanager
def refusing(format_name: str) -> Iterator[None]:
    """Turn the errors of reading a damaged or foreign file into a refusal."""
    try:
        yield
    except CheckpointRefused:
        raise
    except DAMAGED as error:
        said = str(error) or type(error).__name__
        raise CheckpointRefused(f"cannot be read as {format_name}: {said}") from None
