"""A store of bytes by key in a folder: written whole or not at all, with checksums, the longest unused dropped first.

Entries are separate files, so any number of processes may read and write at once. A damaged entry is dropped when it
is read, and computed again.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

VARIABLE = "HARNESS_CACHE"
"""The environment variable that names another folder."""

FOLDER = "answers"
"""Below the folder of the cache, so that dropping what is old never touches a file that is not the cache's own."""

LIMIT = 2**30
"""Bytes that a store may hold."""

_MAGIC = b"bptt-harness answer 2\n"
_RUN_BYTES = 16
_CHECKSUM_BYTES = 32
_KEY_DIGITS = 40
_HALF = "half-written-"
"""The beginning of the name of a file that will be an entry when it is whole."""

_HEAD = len(_MAGIC) + _CHECKSUM_BYTES + _RUN_BYTES
LEFT_BEHIND = 3600
"""Seconds after which a half-written file counts as left by a killed process; also for dates in the future."""

Buffer = bytes | bytearray | memoryview


def place() -> Path:
    """Return the folder that answers are kept in: what ``HARNESS_CACHE`` names, else this user's cache folder."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    import platformdirs

    return platformdirs.user_cache_path("bptt-harness")


def new_run() -> str:
    """Return an identifier that no other run has."""
    return os.urandom(_RUN_BYTES).hex()


class Store:
    """A folder of entries. Each names the run that wrote it: dates of files depend on clocks, which may be wrong.

    Args:
        folder: where they lie; made when the first is written.
        run: the run that writes here, as ``new_run`` names it; a new one unless given.
        own_alone: whether the entries of other runs are passed over.
        limit: how many bytes may lie there; what is over is dropped by ``trim``, the longest unused first.

    Attributes:
        written: how many bytes were written.
        not_kept: how many entries could not be written, by the reason.
    """

    def __init__(self, folder: Path, *, run: str = "", own_alone: bool = False, limit: int = LIMIT) -> None:
        self.folder = folder / FOLDER
        self.own_alone = own_alone
        self.limit = limit
        self.written = 0
        self.not_kept = Counter[str]()
        self._run = bytes.fromhex(run or new_run())

    def get(self, key: str) -> memoryview | None:
        """Return what was kept under a key, None if there is nothing or what is there is damaged."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                content = memoryview(file.read())
        except OSError:
            return None
        run = content[_HEAD - _RUN_BYTES : _HEAD]
        if bytes(content[: _HEAD - _RUN_BYTES]) != _MAGIC + _checksum([content[_HEAD - _RUN_BYTES :]]):
            with suppress(OSError):
                path.unlink()
            return None
        if self.own_alone and run != self._run:
            return None
        with suppress(OSError):
            os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))  # when it was used; when it was written stays
        return content[_HEAD:]

    def put(self, key: str, parts: Sequence[Buffer]) -> None:
        """Keep bytes under a key. Where that fails, ``not_kept`` counts it: a full disk costs time, not results."""
        size = sum(len(part) for part in parts)
        if size > self.limit // 8:  # it would push out too much of what is small and used often
            self.not_kept[f"an entry may have at most {self.limit // 8:,} bytes"] += 1
            return
        path = self._path(key)
        scratch = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, scratch = tempfile.mkstemp(prefix=_HALF, dir=path.parent)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_MAGIC + _checksum([self._run, *parts]) + self._run)
                for part in parts:
                    file.write(part)
            Path(scratch).replace(path)
        except OSError as error:
            self.not_kept[f"{self.folder.parent} cannot be written: {error.strerror}"] += 1
            if scratch:
                with suppress(OSError):
                    Path(scratch).unlink()
            return
        self.written += _HEAD + size

    def trim(self) -> None:
        """Drop what is over the limit, the longest unused first, and what a process left behind half-written."""
        entries, total, now = [], 0, time.time()
        for path in self._files():
            try:
                status = path.stat()
            except OSError:  # another process was faster
                continue
            if path.name.startswith(_HALF):
                if abs(now - status.st_mtime) > LEFT_BEHIND:
                    with suppress(OSError):
                        path.unlink()
                continue
            # A use that has not been yet is one of a clock that was wrong: it says nothing, and protects nothing.
            used = status.st_atime if status.st_atime <= now + LEFT_BEHIND else 0.0
            entries.append((used, status.st_size, path))
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
        for path in self._files():
            with suppress(OSError):  # another process was faster
                sizes.append(path.stat().st_size)
        return len(sizes), sum(sizes)

    def _files(self) -> Iterator[Path]:
        """Yield the store's own files; other files in the same folder are left alone."""
        own = re.compile(rf"[0-9a-f]{{{_KEY_DIGITS}}}|{_HALF}\w+")
        for path in self.folder.glob("[0-9a-f][0-9a-f]/*"):
            if own.fullmatch(path.name) and not path.is_symlink():
                yield path

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key


def key_of(*parts: Buffer) -> str:
    """Return the key of a content: of these parts, in this order."""
    return _hashed(parts).hexdigest()[:_KEY_DIGITS]


def _checksum(parts: Sequence[Buffer]) -> bytes:
    return _hashed(parts).digest()


def _hashed(parts: Sequence[Buffer]) -> hashlib._Hash:
    found = hashlib.sha256()  # processors have instructions for it
    for part in parts:
        found.update(part)
    return found
