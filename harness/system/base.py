"""The names that no system changes, and the question whether a system has what ``posix`` needs."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import subprocess

    from harness.system.forked import Fork

BINARY: int = getattr(os, "O_BINARY", 0)
"""The flag of ``os.open`` that keeps line ends as they are; only Windows has it."""

NO_LINKS: int = getattr(os, "O_NOFOLLOW", 0)
"""The flag of ``os.open`` that refuses a symbolic link; Windows has none."""

NO_WAIT: int = getattr(os, "O_NONBLOCK", 0)
"""The flag of ``os.open`` that opens a pipe without waiting for its other end; Windows has no such files."""

KILL: int = getattr(signal, "SIGKILL", signal.SIGTERM)
"""The signal that ends a process at once. Windows ends a process by any signal."""

_CALLS = ("fork", "killpg", "pread", "readv", "register_at_fork", "set_blocking", "setsid")


class Printed(Protocol):
    """The prints of another process.

    Attributes:
        pipe: the descriptor to read them from.
        open: whether the process can still print.
    """

    pipe: int
    open: bool

    def take(self) -> int:
        """Read once from the pipe; return the number of bytes."""


class Started:
    """A process that the system has started.

    Args:
        process: the process, with its pipes.
        printed: the descriptor to read its prints from, of a pipe or a file.
        dump: the file to which it writes where it was.
        lifeline: the descriptor that ends it when it is closed; None where the system has no such.
        files: the files that are removed when it has ended.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes] | Fork,
        printed: int,
        dump: IO[bytes],
        lifeline: int | None = None,
        files: Sequence[str] = (),
    ) -> None:
        self.process = process
        self.printed = printed
        self.dump = dump
        self.lifeline = lifeline
        self.files = files

    def close(self) -> None:
        """Let go of everything but the lifeline, after the end of the process; may be called again."""
        if self.process.stderr is None and not self.dump.closed:
            os.close(self.printed)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr, self.dump):
            if pipe is not None:
                pipe.close()
        for file in self.files:
            with suppress(OSError):  # a process that it started has it open
                os.unlink(file)  # noqa: PTH108 - pathlib takes longer to import


def nameless_file() -> IO[bytes]:
    """Return a file that is gone with the processes that have it open."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("harness"), "w+b")
    import tempfile  # takes longer than the start of a process

    return tempfile.TemporaryFile()


def is_posix() -> bool:
    """Return whether this system has every module and call that ``harness.system.posix`` uses."""
    try:
        import fcntl  # noqa: F401
        import resource  # noqa: F401
        import termios  # noqa: F401
    except ImportError:
        return False
    return all(hasattr(os, name) for name in _CALLS) and hasattr(select, "poll")


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
