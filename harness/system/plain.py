"""Every other system, Windows among them: lock files, threads that read pipes, and processes ended one by one.

A lock is one of ``msvcrt``. A system without it keeps no locks, so a file that was written within a day counts as held.
"""

from __future__ import annotations

import errno
import importlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from math import isinf
from pathlib import Path
from typing import IO, Any

from harness.system.base import BINARY, KILL, Printed, Started

AGAIN = 0.02
"""Seconds between two attempts to get a lock."""

LEFT_BEHIND = 60.0
"""Seconds after which a lock file of a folder counts as left by a process that was killed; it is held for less."""

A_DAY = 86_400.0

PIPE_BYTES = 2**16
MOST_WAITING = 64
"""Maximum number of pieces that are read from a pipe before they are asked for."""

_PLACE = 2**30
"""The byte of a file that is locked: behind its end, since Windows lets no one read a byte that is locked."""


def _msvcrt() -> Any:
    try:
        return importlib.import_module("msvcrt")
    except ImportError:
        return None


def lock(descriptor: int, *, wait: bool = True) -> None:
    """Lock a file until its descriptor is closed or the process ends.

    Args:
        descriptor: the file.
        wait: whether to wait for another process that holds it.

    Raises:
        OSError: if another process holds it.
    """
    locks = _msvcrt()
    if locks is None:
        if not wait and time.time() - os.fstat(descriptor).st_mtime < A_DAY:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return
    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        while True:
            os.lseek(descriptor, _PLACE, os.SEEK_SET)
            try:
                locks.locking(descriptor, locks.LK_NBLCK, 1)
            except OSError:
                if not wait:
                    raise
                time.sleep(AGAIN)
            else:
                return
    finally:
        os.lseek(descriptor, place, os.SEEK_SET)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes that call this for the same folder waiting meanwhile."""
    path = folder / ".harness-lock"
    while True:
        try:
            # Windows removes the file with the process that has it open.
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_TEMPORARY", 0))
            break
        except (FileExistsError, PermissionError):  # Windows refuses a file that is about to be removed
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > LEFT_BEHIND:
                    path.unlink()
            if not os.access(folder, os.W_OK):
                raise
            time.sleep(AGAIN)
    try:
        yield
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def exchanged(one: Path, other: Path) -> bool:
    """Return False: the system cannot exchange two folders at once."""
    del one, other
    return False


def flush(path: Path) -> None:
    """Have a file written to the disk; folders are written with it."""
    if path.is_file():
        with path.open("r+b") as file:
            os.fsync(file.fileno())


def waiting(descriptor: int) -> int:
    """Return how many bytes can be read from a file now."""
    return os.fstat(descriptor).st_size - os.lseek(descriptor, 0, os.SEEK_CUR)


def in_forks(function: Callable[[], object]) -> None:
    """Call nothing: the system has no forks."""


def may_open_files() -> bool:
    """Return True: the system has no limit that says otherwise."""
    return True


def start(command: Sequence[str], environment: Mapping[str, str], *, lifeline: str, dump: str) -> Started:
    """Start a process that is out of reach of Ctrl-C. It prints into a file.

    Args:
        command: the program and its arguments.
        environment: its variables.
        lifeline: the variable for ``end_with``, which is empty here.
        dump: the variable to have the path of the file to which it writes where it was.
    """
    import tempfile  # takes longer than the start of a process

    printing, printed = tempfile.mkstemp(prefix="harness-printed-")
    dumping, dumped = tempfile.mkstemp(prefix="harness-dump-")
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printing,
            env={**environment, lifeline: "", dump: dumped},
            start_new_session=True,  # which Windows ignores
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    finally:
        os.close(printing)
        os.close(dumping)
    file = open(dumped, "rb")  # noqa: SIM115, PTH123 - closed with the process
    return Started(process, os.open(printed, os.O_RDONLY | BINARY), file, files=(printed, dumped))


def opened(handed: str) -> int:
    """Return a descriptor of the file that ``start`` handed to this process."""
    return os.open(handed, os.O_WRONLY | os.O_APPEND | BINARY)


def read_at(file: IO[bytes], count: int, offset: int) -> bytes:
    """Return at most ``count`` bytes of a file, which no other process reads."""
    file.seek(offset)
    return file.read(count)


def end_group(process: int) -> None:
    """End a process and those that it started, and these, as far as their parents are there."""
    import psutil

    with suppress(psutil.Error):
        there = psutil.Process(process)
        for each in (there, *there.children(recursive=True)):
            with suppress(OSError):  # it has ended
                os.kill(each.pid, KILL)


def end_with(lifeline: str, keeper: str | None) -> None:
    """Do nothing: the thread that reads the messages ends the process when their pipe is closed."""
    del lifeline, keeper


def interrupt(number: int) -> None:
    """Send this process a signal."""
    signal.raise_signal(number)


class _PlainPipes:
    """A pipe to read from and one to write to, each with a deadline; a thread reads, and one writes.

    Args:
        receiving: the descriptor to read from.
        sending: the descriptor to write to.
        printed: the prints of the process at the other end, which a file takes.
        at_end: what is called when the other end is gone.
    """

    def __init__(
        self,
        receiving: int,
        sending: int,
        printed: Printed | None = None,
        at_end: Callable[[], object] | None = None,
    ) -> None:
        del printed
        self._sending = sending
        self._arrived: queue.Queue[bytes] = queue.Queue(MOST_WAITING)
        self._rest = memoryview(b"")
        self._ended = False
        # The thread has a descriptor of its own: the number of one that is closed may be another file's by now.
        arguments = os.dup(receiving), self._arrived, at_end
        threading.Thread(target=_read, args=arguments, daemon=True).start()

    def widen(self) -> None:
        """Do nothing: threads wait midway."""

    def take(self, view: memoryview, deadline: float) -> int:
        """Read into ``view`` as soon as there is something; return the number of bytes, 0 at the end of the pipe.

        Raises:
            TimeoutError: if there is nothing at the deadline, a time of ``time.monotonic``.
        """
        if not self._rest and not self._ended:
            try:
                self._rest = memoryview(self._arrived.get(timeout=_left(deadline)))
            except queue.Empty:
                raise TimeoutError from None
            self._ended = not self._rest
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def give(self, view: memoryview, deadline: float) -> int:
        """Write ``view``; return the number of bytes.

        Raises:
            BrokenPipeError: if the other end is gone.
            TimeoutError: if it was not written at the deadline.
        """
        written: queue.SimpleQueue[int | OSError] = queue.SimpleQueue()
        if isinf(deadline):
            _write(self._sending, view, written)
        else:
            threading.Thread(target=_write, args=(self._sending, view, written), daemon=True).start()
        try:
            result = written.get(timeout=_left(deadline))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(result, OSError):
            if result.errno not in (errno.EPIPE, errno.EBADF, errno.EINVAL):  # the last is that of Windows
                raise result
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        return result


def _left(deadline: float) -> float | None:
    return None if isinf(deadline) else max(0.0, deadline - time.monotonic())


def _read(pipe: int, arrived: queue.Queue[bytes], at_end: Callable[[], object] | None) -> None:
    try:
        while piece := os.read(pipe, PIPE_BYTES):
            arrived.put(piece)
    except OSError:  # Windows, where the other end is gone
        pass
    finally:
        os.close(pipe)
        if at_end is not None:
            at_end()
        arrived.put(b"")


def _write(pipe: int, view: memoryview, written: queue.SimpleQueue[int | OSError]) -> None:
    try:
        written.put(os.write(pipe, view))
    except OSError as error:
        written.put(error)


Pipes = _PlainPipes
"""The pipes of this kind of system."""
