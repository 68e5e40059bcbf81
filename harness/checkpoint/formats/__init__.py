"""The file formats of weights. A new one is one new file here."""

from __future__ import annotations

import zipfile
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from harness.casefile import listed
from harness.checkpoint.base import DAMAGED, CheckpointRefused, Format


@cache
def formats() -> dict[str, Format]:
    """Return every format by its module's name: each module of this package that has a ``FORMAT``."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return {module.__name__.rpartition(".")[2]: module.FORMAT for module in modules if hasattr(module, "FORMAT")}


HEAD = 512
"""Bytes at a file's start; the mark of a tar archive ends at 262."""


def format_of(path: Path) -> Format:
    """Return the format of a file: by its content, or by its name if the content does not show it.

    Raises:
        CheckpointRefused: if it is unknown.
    """
    head, members = _looked_at(path)
    for each in formats().values():
        if each.holds(path, head, members):
            return each
    for mark, at, what, command in _PACKED:
        if head[at : at + len(mark)] == mark:
            raise CheckpointRefused(f"is {what}, and no checkpoint itself", f"unpack it: {command} {path.name}")
    for each in formats().values():
        if path.name.endswith(each.suffixes):
            return each
    tf1 = formats()["tf1"]
    if any(file.exists() for file in tf1.files(path)):  # such a checkpoint's name has no suffix
        return tf1
    if not path.exists():
        raise CheckpointRefused("does not exist")
    known = [suffix for each in formats().values() for suffix in each.suffixes]
    problem = "is no known checkpoint: neither its content nor its name shows its format"
    raise CheckpointRefused(problem, f"its name should end in {listed(known)}")


_PACKED = (
    (b"ustar", 257, "a tar archive", "tar -xf"),
    (b"\x1f\x8b", 0, "packed by gzip", "gunzip"),
)
"""Files that hold other files: a mark, its place, the kind, and the command that unpacks it."""


def _looked_at(path: Path) -> tuple[bytes, frozenset[str]]:
    """Return a file's first bytes, and the names in it if it is a zip archive."""
    if not path.is_file():
        return b"", frozenset()
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise CheckpointRefused(f"cannot be read: {error.strerror or error}") from None
    if not head.startswith(b"PK\x03\x04"):
        return head, frozenset()
    try:
        with zipfile.ZipFile(path) as opened:
            return head, frozenset(opened.namelist())
    except DAMAGED:
        return head, frozenset()
