"""What a file format of weights is, and what is known of a tensor before its numbers are read."""

from __future__ import annotations

import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy import ndarray

from harness.tensors import Shape

WIDER = {"float16": "float32", "bfloat16": "float32", "float32": "float32", "float64": "float64"}
"""The dtypes that weights may have in a file, each with the one that they are read into; every number stays exact."""


LONGEST = 1000
"""Letters of what is said of a file: names in it may be of any length."""


class CheckpointRefused(ValueError):
    """A checkpoint cannot be used.

    Attributes:
        problem: why.
        hint: the nearest valid name, or what to do; may be empty.
        about: the key that it is about, of those by which a case names a checkpoint.
    """

    def __init__(self, problem: str, hint: str = "", about: str = "checkpoint") -> None:
        problem, hint = (f"{each[:LONGEST]}..." if len(each) > LONGEST else each for each in (problem, hint))
        super().__init__(f"{problem}; {hint}" if hint else problem)
        self.problem = problem
        self.hint = hint
        self.about = about


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor of a file.

    Attributes:
        shape: as the file says; that it holds so many numbers is known.
        dtype: NumPy's name of it, or bfloat16, or that of one that is no float.
        bytes_of: reads the numbers, as they lie in the file.
        byte_order: ``<`` or ``>``.
        said: what the file says of the layer that it belongs to, as Keras has it in a layer's config.
    """

    shape: Shape
    dtype: str
    bytes_of: Callable[[], bytes | ndarray]
    byte_order: Literal["<", ">"] = "<"
    said: Mapping[str, Any] = field(default_factory=dict)

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


class Format(ABC):
    """A file format.

    Attributes:
        name: what users call it.
        suffixes: how its files' names end.
        layout: the layout of the framework whose format it is; empty if any layout may be in it.
    """

    name: str
    suffixes: tuple[str, ...]
    layout: str = ""

    def files(self, path: Path) -> list[Path]:
        """Return every file that reading ``path`` opens."""
        return [path]

    @abstractmethod
    def tensors(self, path: Path) -> Mapping[str, Stored]:
        """Return what a file holds, by name.

        Raises:
            CheckpointRefused: if it is none of this format, or more than tensors.
        """


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
"""What readers raise of bytes that are not what they say, or of text where a number belongs."""


@contextmanager
def told(format_name: str) -> Iterator[None]:
    """Turn what reading a damaged or foreign file raises into a refusal."""
    try:
        yield
    except CheckpointRefused:
        raise
    except DAMAGED as error:
        said = str(error) or type(error).__name__
        raise CheckpointRefused(f"cannot be read as {format_name}: {said}") from None
