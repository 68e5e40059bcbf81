"""Bytes by key, in a folder: written whole or not at all, known by their checksum, the longest unused dropped first.

Entries are files of their own, so that any number of processes may read and write at once. What was damaged, by
a power cut or by anybody, is no entry: it is dropped when it is met, and computed again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import platformdirs

VARIABLE = "HARNESS_CACHE"
"""The environment variable that names another folder."""

FOLDER = "answers"
"""Below the folder of the cache, so that dropping what is old never touches a file that is not the cache's own."""

LIMIT = 2**30
"""Bytes that a store may hold."""

_MAGIC = b"bptt-harness answer 1\n"
_CHECKSUM_BYTES = 32
_KEY_DIGITS = 40
_HEAD = len(_MAGIC) + _CHECKSUM_BYTES

Buffer = bytes | bytearray | memoryview


def place() -> Path:
    """Return the folder that answers are kept in: what ``HARNESS_CACHE`` names, else this user's cache folder."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path("bptt-harness")


class Store:
    """A folder of entries.

    Args:
        folder: where they lie; made when the first is written.
        since: entries written before this time, in seconds of the epoch, are passed over.
        limit: how many bytes may lie there; what is over is dropped by ``trim``, the longest unused first.
    """

    def __init__(self, folder: Path, *, since: float = 0.0, limit: int = LIMIT) -> None:
        self.folder = folder / FOLDER
        self.since = since
        self.limit = limit
        self.written = 0

    def get(self, key: str) -> memoryview | None:
        """Return what was kept under a key, None if there is nothing or what is there is damaged."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_mtime < self.since:
                    return None
                content = memoryview(file.read())
        except OSError:
            return None
        if bytes(content[:_HEAD]) != _MAGIC + _checksum([content[_HEAD:]]):
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))  # when it was used; when it was written stays
        return content[_HEAD:]

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Keep bytes under a key. Where that fails, nothing is kept: a full disk costs time, not results."""
        size = sum(len(part) for part in parts)
        if size > self.limit // 8:  # it would push out too much of what is small and used often
            return
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, scratch = tempfile.mkstemp(dir=path.parent)
        except OSError:
            return
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_MAGIC + _checksum(parts))
                for part in parts:
                    file.write(part)
            Path(scratch).replace(path)
        except OSError:
            with suppress(OSError):
                Path(scratch).unlink()
            return
        self.written += _HEAD + size

    def trim(self) -> None:
        """Drop what is over the limit, the longest unused first, and what a process left behind half-written."""
        entries, total, now = [], 0, time.time()
        for path in self.folder.glob("*/*"):
            try:
                status = path.stat()
            except OSError:  # another process was faster
                continue
            if len(path.name) != len(_key([])) and now - status.st_mtime > 3600:  # it would have become an entry
                with suppress(OSError):
                    path.unlink()
                continue
            entries.append((status.st_atime, status.st_size, path))
            total += status.st_size
        for _, size, path in sorted(entries, key=lambda entry: entry[0]):
            if total <= self.limit:
                return
            with suppress(OSError):
                path.unlink()
            total -= size

    def contents(self) -> tuple[int, int]:
        """Return how many entries there are, and their bytes."""
        sizes = []
        for path in self.folder.glob("*/*"):
            with suppress(OSError):  # another process was faster
                sizes.append(path.stat().st_size)
        return len(sizes), sum(sizes)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key


def key_of(*parts: Buffer) -> str:
    """Return the key of a content: of these parts, in this order."""
    return _key(parts)


def _key(parts: Sequence[Buffer]) -> str:
    return _hashed(parts).hexdigest()[:_KEY_DIGITS]


def _checksum(parts: Sequence[Buffer]) -> bytes:
    return _hashed(parts).digest()


def _hashed(parts: Sequence[Buffer]) -> hashlib._Hash:
    found = hashlib.sha256()  # which processors have instructions for
    for part in parts:
        found.update(part)
    return found
