"""Checks of an array spec: its numbers must fit the tensor that it fills."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from decimal import Context
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from harness.casefile import Path, nearest
from harness.checkpoint.formats.npz import header
from harness.tensors import Shape

LONGEST_NAME = 250
"""Maximum length of the name of a file, or of an array in it."""

Problem = tuple[Path, str, str]
"""The path below the spec, the problem, and a hint."""


def problems(spec: Any, tensor: str, shape: Shape, folder: FilePath, labels: int | None = None) -> Iterator[Problem]:
    """Find the mistakes in a spec of the right form, for the tensor that it fills.

    Args:
        spec: The spec, as the file has it.
        tensor: The tensor's name, for messages.
        shape: The tensor's shape.
        folder: The case file's folder.
        labels: The number of classes, for a tensor of class labels.
    """
    if isinstance(spec, str):
        if spec == "ones" and labels == 1:
            yield (), f"{tensor} holds labels, and the only one there is is 0", "use zeros"
        return
    if "values" in spec:
        yield from nested(("values",), spec["values"], tensor, shape, index_below=labels)
    elif "one_hot" in spec:
        if labels is not None:
            yield ("one_hot",), f"{tensor} holds class labels, but one_hot makes vectors", "use {values: [[...]]}"
        else:
            yield from nested(("one_hot",), spec["one_hot"], tensor, shape[:-1], index_below=shape[-1])
    elif "file" in spec:
        yield from _in_file(spec, tensor, shape, folder, labels)
    elif "uniform" in spec:
        low, high = spec["uniform"]
        if not low <= high:
            yield ("uniform",), f"low is {low}, above high, {high}; it should be [low, high]", ""
        elif math.isinf(high - low):
            yield ("uniform",), f"from {low} to {high} is further than float64 goes", ""
        elif labels is not None and not (_whole(low) and _whole(high) and 0 <= low < high <= labels):
            yield ("uniform",), f"{tensor} holds labels, whole numbers from 0 to {labels - 1}", f"use [0, {labels}]"
    elif "fill" in spec and labels is not None:
        yield from _label(("fill",), spec["fill"], labels)
    elif "normal" in spec and labels is not None:
        yield ("normal",), f"{tensor} holds labels, whole numbers from 0 to {labels - 1}", f"use uniform: [0, {labels}]"


def too_large(spec: Any, dtype: str) -> Iterator[Problem]:
    """Find the numbers that the dtype cannot represent, in a spec of the right form: they would become infinite."""
    most = float(np.finfo(dtype).max)
    for key, largest in (("fill", most), ("uniform", most), ("values", most), ("normal", most / SIGMAS)):
        if isinstance(spec, dict) and key in spec:
            for number in np.ravel(np.array(spec[key], dtype=object)):  # a whole number may be beyond every float
                if not abs(number) <= largest:
                    shown = str(Context(prec=6).create_decimal(number).normalize()).lower()
                    yield (
                        (key,),
                        f"{shown} is more than {dtype} holds"
                        if key != "normal"
                        else (f"numbers with a standard deviation of {shown} are more than {dtype} holds"),
                        f"at most {largest:.3g}",
                    )
                    return


SIGMAS = 100
"""Maximum distance of a normal random number from zero, in standard deviations."""


def _whole(number: float) -> bool:
    return isinstance(number, int) or number.is_integer()  # an int may be beyond floats


def _label(path: Path, value: Any, below: int) -> Iterator[Problem]:
    if not _whole(value) or not 0 <= value < below:
        yield path, f"{value} should be a whole number from 0 to {below - 1}", ""


def nested(path: Path, values: Any, tensor: str, shape: Shape, *, index_below: int | None = None) -> Iterator[Problem]:
    """Compare nested lists of numbers with a shape; with ``index_below``, they must be whole numbers below it.

    The check stops at the first list of a wrong length on each branch.
    """
    if not shape:
        if isinstance(values, bool) or not isinstance(values, int | float):
            yield path, f"{values!r} should be a number", _number_hint(values)
        elif values != values or abs(values) == float("inf"):
            yield path, f"{values} should be a finite number", ""
        elif index_below is not None:
            yield from _label(path, values, index_below)
    elif not isinstance(values, list):
        yield path, f"{values!r} should be a list of {shape[0]}: {tensor} has shape {_written(shape)} here", ""
    elif len(values) != shape[0]:
        yield path, f"a list of {len(values)} should be a list of {shape[0]}: {tensor} needs {_written(shape)} here", ""
    else:
        for i, value in enumerate(values):
            yield from nested((*path, i), value, tensor, shape[1:], index_below=index_below)


def _number_hint(value: Any) -> str:
    return "without the quotes" if isinstance(value, str) and value.replace(".", "", 1).isdigit() else ""


def _written(shape: Shape) -> str:
    return " x ".join(map(str, shape))


def _in_file(spec: Any, tensor: str, shape: Shape, folder: FilePath, labels: int | None) -> Iterator[Problem]:
    name, key = spec["file"], spec["key"]
    if len(name) > LONGEST_NAME or len(key) > LONGEST_NAME:
        at = "file" if len(name) > LONGEST_NAME else "key"
        yield (at,), f"a name of {len(spec[at]):,} letters; it may have {LONGEST_NAME}", ""
        return
    try:
        path = folder / name
        # resolve() follows symbolic links, so it finds a link that leads out as well as "..".
        if not path.resolve().is_relative_to(folder.resolve()):
            yield ("file",), f"{name} is outside the case file's folder", "put the file beside the case file"
            return
        if path.suffix != ".npz":
            yield ("file",), f"{name} should be an .npz file", "numpy.savez makes one"
            return
        if path.exists() and not path.is_file():  # reading a pipe would wait
            yield ("file",), f"{name} is no file", "numpy.savez makes one"
            return
        # numpy.load would leave a file open that is no archive, and would accept a single array.
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
            if key not in archive:
                hint = nearest(key, archive.files) or f"it has {', '.join(archive.files) or 'none'}"
                yield ("key",), f"{name} has no array {key!r}", hint
                return
            # The size is checked before unpacking: a few kilobytes can unpack to any size.
            assert archive.zip is not None  # only of a closed file
            unpacked = archive.zip.getinfo(f"{key}.npy").file_size
            if unpacked > 32 * math.prod(shape) + 65536:
                yield ("key",), f"{key} unpacks to {unpacked:,} bytes, far more than {tensor} {shape} needs", ""
                return
            # The header is checked, too: NumPy allocates an array of its shape before it reads the numbers.
            with archive.zip.open(f"{key}.npy") as packed:
                said, dtype = header(packed)
            if said != shape:
                yield ("key",), f"{key} has shape {said}, but {tensor} has {shape}", ""
                return
            if dtype.kind not in ("iu" if labels is not None else "fiu"):
                kind = "whole numbers" if labels is not None else "numbers"
                yield ("key",), f"{key} has dtype {dtype}, but {tensor} holds {kind}", ""
                return
            array = archive[key]
    except FileNotFoundError:
        there = [file.name for file in folder.glob("*.npz")]
        yield ("file",), f"{name} does not exist beside the case file", nearest(name, there)
        return
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        yield ("file",), f"{name} cannot be read as an .npz file of plain arrays: {error}", ""
        return
    if labels is not None and not ((array >= 0) & (array < labels)).all():
        yield ("key",), f"{key} has labels outside 0 to {labels - 1}", ""
    elif not np.isfinite(array).all():
        yield ("key",), f"{key} has values that are not finite", ""
