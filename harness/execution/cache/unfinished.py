"""Records of unfinished runs: their options, for ``--resume``.

A run's answers are in the store; a record holds the rest. Each run has its own record, and locks it as long as it
lives. So two runs into one folder keep their records, and an active run differs from an interrupted one.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import system
from harness.execution.cache.store import key_of, new_run, place

FOLDER = "unfinished"


@dataclass(frozen=True, eq=False)
class Unfinished:
    """A run that has begun and not ended.

    Attributes:
        asked: its options, by name, as JSON can hold them.
        run: names it among the entries of the store.
        anew: whether it passes over the answers of other runs.
        began: when, in seconds of the epoch.
        not_kept: why there is no record of it; empty if there was one at the beginning.
    """

    asked: Mapping[str, Any]
    run: str
    anew: bool
    began: float
    not_kept: str
    _path: Path
    _lock: int | None

    @property
    def is_kept(self) -> bool:
        """Return whether its record is there, so that ``--resume`` would find it."""
        if self._lock is None:
            return False
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._lock))
        except OSError:
            return False

    def end(self) -> None:
        """Forget it: its report is there."""
        if self._lock is not None:
            with suppress(OSError):
                self._path.unlink()
            self.let_go()
            with suppress(OSError):  # Windows removes no file that is open
                self._path.unlink(missing_ok=True)

    def let_go(self) -> None:
        """Release the record, if there is one, for the process that resumes the run."""
        if self._lock is not None:
            os.close(self._lock)


def begin(target: Path, asked: Mapping[str, Any], *, anew: bool) -> Unfinished:
    """Keep a record of a run that begins, and drop those of runs into the same folder that were interrupted.

    Args:
        target: the folder of its report.
        asked: its options, by name, as JSON can hold them.
        anew: whether it passes over the answers of other runs.

    Returns:
        The run; ``not_kept`` says why where no record can be written.
    """
    run, began = new_run(), time.time()
    path = _folder() / f"{_name(target)}.{run}.json"
    lock = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for abandoned, held in _interrupted(target):
            with suppress(PermissionError):  # Windows removes no file that is open
                abandoned.unlink(missing_ok=True)
            os.close(held)
            abandoned.unlink(missing_ok=True)
        lock = _created(path)
        content = json.dumps({"asked": dict(asked), "run": run, "anew": anew, "began": began})
        if os.write(lock, content.encode()) < len(content):
            raise OSError(None, "No space left on device")
    except OSError as error:
        begun = Unfinished(asked, run, anew, began, f"{place()} cannot be written: {error.strerror}", path, None)
        if lock is not None:
            os.close(lock)
            with suppress(OSError):
                path.unlink()
        return begun
    return Unfinished(asked, run, anew, began, "", path, lock)


def find(target: Path) -> list[Unfinished]:
    """Return the runs into a folder that were interrupted, the last one first; each is held until it is let go."""
    found = []
    for path, lock in _interrupted(target):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            asked, run = dict(content["asked"]), str(content["run"])
            bytes.fromhex(run)
            found.append(Unfinished(asked, run, bool(content["anew"]), float(content["began"]), "", path, lock))
        except (OSError, ValueError, KeyError, TypeError):  # damaged, or of another version
            os.close(lock)
    return sorted(found, key=lambda each: each.began, reverse=True)


def _interrupted(target: Path) -> Iterator[tuple[Path, int]]:
    """Yield each record that no process holds, with the lock that holds it from now on."""
    for path in sorted(_folder().glob(f"{_name(target)}.*.json")):
        try:
            lock = os.open(path, os.O_RDWR | system.BINARY)
        except OSError:
            continue
        try:
            system.lock(lock, wait=False)
        except OSError:
            os.close(lock)
            continue
        yield path, lock


def _created(path: Path) -> int:
    """Make a file and lock it."""
    while True:
        lock = os.open(path, os.O_CREAT | os.O_RDWR | system.BINARY, 0o600)
        try:
            system.lock(lock)
        except OSError:  # a file system without locks
            os.close(lock)
            path.unlink()
            raise
        if os.fstat(lock).st_nlink:
            return lock
        os.close(lock)  # it was taken for abandoned before it was locked


def _folder() -> Path:
    return place() / FOLDER


def _name(target: Path) -> str:
    return key_of(os.fsencode(target.absolute()))
