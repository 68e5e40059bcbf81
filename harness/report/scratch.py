"""Scratch folders in which reports are made, next to their target; those of killed processes are removed."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.system import BINARY, NO_LINKS, lock

_LOCK = ".lock"
_MARK = b"A report of bptt-harness is made in this folder.\n"
"""The content of the lock: a folder without it is not a scratch folder and stays."""

_BEING_MADE = 60.0
"""Seconds after which an empty scratch folder counts as abandoned."""

_NAME_LETTERS = 50
"""Maximum number of characters of the target's name in the name of a scratch folder; a name has some 255 bytes."""


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """Make a folder near ``target`` that is removed on exit; remove those of killed processes.

    Args:
        target: the folder that a report is for.

    Yields:
        A folder on the same file system: beside the target, or in it if it must stay where it is.

    Raises:
        OSError: if there can be no such folder.
    """
    target = target.resolve()
    near = target if stays(target) else target.parent
    made = [folder for folder in near.parents if not folder.exists()]
    if not near.exists():
        made.insert(0, near)
    near.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target)
    try:
        with _locked(Path(tempfile.mkdtemp(prefix=_prefix(target), dir=near))) as folder:
            yield folder
    finally:
        with suppress(OSError):  # there is a report in it
            for each in made:
                each.rmdir()


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    descriptor = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | BINARY)
    try:
        lock(descriptor)  # gone with the process, however it ends
        os.write(descriptor, _MARK)  # a process that finds the mark finds the lock held
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)  # on Windows, an open file stays


def remove_abandoned(target: Path) -> None:
    """Remove the scratch folders for ``target`` of processes that were killed."""
    target = target.resolve()
    for folder in (*_entries(target.parent), *_entries(target)):
        if is_scratch(folder, target):
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime > _BEING_MADE:
                    folder.rmdir()  # its process ended before locking it; a locked folder is not empty
            with suppress(OSError):
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    """Remove a scratch folder if no process holds it.

    Raises:
        OSError: if one does, or it has no lock.
    """
    descriptor = os.open(folder / _LOCK, os.O_RDWR | NO_LINKS | BINARY)
    try:
        lock(descriptor, wait=False)
        if os.read(descriptor, len(_MARK) + 1) != _MARK:
            return
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
    shutil.rmtree(folder, ignore_errors=True)  # on Windows, an open file stays


def is_scratch(path: Path, target: Path) -> bool:
    """Return whether a path is named as the scratch folders for ``target`` are."""
    return path.name.startswith(_prefix(target))


def stays(target: Path) -> bool:
    """Return whether a folder must stay where it is, so that only the files in it can be replaced.

    A shell in the folder would lose it; a mount point cannot be moved; and the parent folder must be writable for a
    replacement next to it.
    """
    if not target.is_dir():
        return False
    return Path.cwd().is_relative_to(target) or os.path.ismount(target) or not os.access(target.parent, os.W_OK)


def _prefix(target: Path) -> str:
    return f".{target.name[:_NAME_LETTERS]}.harness-"


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
