"""Folders beside a report in which it is made, and the exchange by which it takes its place at once."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = ".lock"
_HERE = -100
"""AT_FDCWD of Linux: paths are from the present folder."""

_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux."""


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """Make a folder beside ``target`` that is gone when it is left; remove those of processes that were killed."""
    made = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # gone with the process, however it ends
        (folder / "lock").rename(folder / _LOCK)  # whoever finds it by this name finds it locked
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        with suppress(OSError):  # there is a report in it
            for each in made:
                each.rmdir()


def remove_abandoned(target: Path) -> None:
    """Remove what processes that were killed left beside ``target``."""
    for folder in target.parent.glob(f".{target.name}.*"):
        with suppress(OSError):
            lock = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def take_place(new: Path, target: Path) -> None:
    """Have a folder stand where another or none stands; at every moment one of the two is there, whole.

    What was there stands in the place of the new one afterwards. Where the system cannot exchange two folders at once,
    the target is missing for the moment between two renamings.
    """
    if not target.exists():
        new.rename(target)
    elif not _exchanged(new, target):
        old = new.with_name("old")
        target.rename(old)
        new.rename(target)


def _exchanged(one: Path, other: Path) -> bool:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return rename is not None and rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0
