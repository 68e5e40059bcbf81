"""Linux and macOS: locks that end with their process, pipes that are polled, signals for groups of processes."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from math import isinf
from pathlib import Path
from typing import IO

from harness.system.base import KILL, Printed, Started
from harness.system.base import nameless_file as _nameless_file

PIPE_BYTES = 2**20
_COUNT = struct.Struct("i")

_HERE = -100
"""AT_FDCWD of Linux: paths are from the present folder."""

_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux."""

_SET_PARENT_DEATH_SIGNAL = 1
"""Linux's number of a request to the system: a signal when the parent ends."""


def lock(descriptor: int, *, wait: bool = True) -> None:
    """Lock a file until its descriptor is closed or the process ends.

    Args:
        descriptor: the file, or a folder.
        wait: whether to wait for another process that holds it.

    Raises:
        OSError: if another process holds it, or the file system has no locks.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes that call this for the same folder waiting meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders at once; return whether the system could."""
    import ctypes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return rename is not None and rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def flush(path: Path) -> None:
    """Have a file or a folder written to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def waiting(descriptor: int) -> int:
    """Return how many bytes can be read from a pipe now."""
    (count,) = _COUNT.unpack(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(_COUNT.size)))
    return int(count)


def in_forks(function: Callable[[], object]) -> None:
    """Call a function in each process that is forked from this one."""
    os.register_at_fork(after_in_child=function)


def may_open_files() -> bool:
    """Return whether this process may have any file open."""
    return bool(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def start(command: Sequence[str], environment: Mapping[str, str], *, lifeline: str, dump: str) -> Started:
    """Start a process that is out of reach of Ctrl-C.

    Args:
        command: the program and its arguments.
        environment: its variables.
        lifeline: the variable to have the descriptor for ``end_with``.
        dump: the variable to have the descriptor of the file to which it writes where it was.
    """
    file = _nameless_file()
    watched, ours = os.pipe()
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment, lifeline: str(watched), dump: str(file.fileno())},
        start_new_session=True,
        pass_fds=(watched, file.fileno()),
    )
    os.close(watched)
    assert process.stderr is not None
    return Started(process, process.stderr.fileno(), file, ours)


def opened(handed: str) -> int:
    """Return the descriptor of the file that ``start`` handed to this process."""
    return int(handed)


def read_at(file: IO[bytes], count: int, offset: int) -> bytes:
    """Return at most ``count`` bytes of a file, wherever it is read or written meanwhile."""
    return os.pread(file.fileno(), count, offset)


def end_group(process: int) -> None:
    """End a process that leads a group, and its group."""
    with suppress(ProcessLookupError):
        os.killpg(process, KILL)


def end_with(lifeline: str, keeper: str | None) -> None:
    """End this process and its group when a pipe is closed at its other end, even in the middle of a computation.

    The system signals that the pipe can be read. Nothing handles that signal, so it ends the process, even one that
    never comes back to Python.

    Args:
        lifeline: the descriptor of the pipe, to which nothing is written.
        keeper: the parent's number, for Linux to end this process with it; None if it has no keeper.
    """
    if keeper is not None:
        import ctypes

        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, KILL, 0, 0, 0)
        if os.getppid() != int(keeper):  # it ended before the signal was asked for
            os._exit(1)
    pipe = int(lifeline)
    fcntl.fcntl(pipe, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    if poll.poll(0):  # it was gone before the signal was asked for
        os._exit(1)


def interrupt(number: int) -> None:
    """Send this process a signal."""
    os.kill(os.getpid(), number)


class _PosixPipes:
    """A pipe to read from and one to write to, each with a deadline.

    Args:
        receiving: the descriptor to read from.
        sending: the descriptor to write to.
        printed: the prints of the process at the other end, which are read while this end waits.
        at_end: not called; see ``end_with``.
    """

    def __init__(
        self,
        receiving: int,
        sending: int,
        printed: Printed | None = None,
        at_end: Callable[[], object] | None = None,
    ) -> None:
        del at_end
        self._receiving = receiving
        self._sending = sending
        self._printed = printed
        os.set_blocking(sending, False)

    def widen(self) -> None:
        """Let the pipes hold most arrays whole, where the system can, so that neither end waits midway."""
        if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux
            for pipe in (self._receiving, self._sending):
                with suppress(OSError):  # this user's pipes hold as much as they may
                    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def take(self, view: memoryview, deadline: float) -> int:
        """Read into ``view`` as soon as there is something; return the number of bytes, 0 at the end of the pipe.

        Raises:
            TimeoutError: if there is nothing at the deadline, a time of ``time.monotonic``.
        """
        self._wait(self._receiving, select.POLLIN, deadline)
        return os.readv(self._receiving, [view])

    def give(self, view: memoryview, deadline: float) -> int:
        """Write the beginning of ``view``; return the number of bytes.

        Raises:
            BrokenPipeError: if the other end is gone.
            TimeoutError: if nothing could be written at the deadline.
        """
        self._wait(self._sending, select.POLLOUT, deadline)
        try:
            return os.write(self._sending, view)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EBADF):  # the other end is gone, or this one was closed
                raise
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        printed = self._printed
        if printed is not None and printed.open:
            poll.register(printed.pipe, select.POLLIN)
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            ready = [each for each, _ in poll.poll(None if isinf(remaining) else max(1, remaining * 1000))]
            if printed is not None and printed.pipe in ready:
                printed.take()
                if not printed.open:
                    poll.unregister(printed.pipe)
            if descriptor in ready:
                return


Pipes = _PosixPipes
"""The pipes of this kind of system."""
