"""A copy of this process as another process, on Linux: it has what is imported here, and nothing else of this one."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from harness.system.base import Started, nameless_file

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""The signals that end a command. Code that forks holds them back, so that neither process is cut short in between."""

PAUSE = 0.05
"""Maximum number of seconds between two looks at a process that should end."""


class Fork:
    """A process that this one forked, with the same attributes as one of ``subprocess``.

    Args:
        pid: its number.
        stdin: the descriptor to write to.
        stdout: the descriptor to read its answers from.
        stderr: the descriptor to read its prints from.

    Attributes:
        returncode: its exit status, or the negative number of the signal that ended it; None while it runs.
    """

    def __init__(self, pid: int, stdin: int, stdout: int, stderr: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin = os.fdopen(stdin, "wb", 0)
        self.stdout = os.fdopen(stdout, "rb", 0)
        self.stderr = os.fdopen(stderr, "rb", 0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return how it ended.

        Raises:
            subprocess.TimeoutExpired: if it is still there after ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = PAUSE / 100
        while self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a process of a user's file", timeout or 0.0)
            else:
                time.sleep(pause)
                pause = min(2 * pause, PAUSE)
        return self.returncode


def fork(
    keeper: Sequence[str], environment: Mapping[str, str], *, lifeline: str, dump: str, kept: str
) -> Started | None:
    """Fork this process twice: its child becomes the keeper, and its grandchild returns from here.

    The grandchild leads a session of its own, has no descriptor of this process, and handles signals as a new process.

    Args:
        keeper: the keeper's program with its arguments; the number of the grandchild is appended.
        environment: the variables that both have besides those of this process.
        lifeline: the variable to have the descriptor for ``end_with``.
        dump: the variable to have the descriptor of the file to which the process writes where it was.
        kept: the variable to have the number of the keeper.

    Returns:
        The keeper, with the pipes of the grandchild; None in the grandchild.
    """
    file = nameless_file()
    pipes = [os.pipe() for _ in range(4)]
    (watched, ours), (asked, asking), (answered, answering), (printed, printing) = pipes
    child = os.fork()
    if child:
        for descriptor in (watched, asked, answering, printing):
            os.close(descriptor)
        return Started(Fork(child, asking, answered, printed), printed, file, ours)
    try:
        dumped = os.dup(file.fileno())  # the object is closed below
        os.environ.update({**environment, lifeline: str(watched), dump: str(dumped), kept: str(os.getpid())})
        os.setsid()
        for number, descriptor in enumerate((asked, answering, printing)):
            os.dup2(descriptor, number)
        os.set_inheritable(watched, True)
        grandchild = os.fork()
        if grandchild:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            os.execve(keeper[0], [*keeper, str(grandchild)], {**os.environ})  # closes what is not inheritable
        os.setsid()
        file.close()  # Python 3.13 reports an object whose descriptor is closed already
        _close_all_but({0, 1, 2, watched, dumped})
        _open_streams()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    except BaseException:  # never the code of the process that is forked, in another
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    return None


def _open_streams() -> None:
    """Open the standard streams anew, without buffers: those of this process may be those of a file or a terminal."""
    sys.stdin, sys.stdout, sys.stderr = open(0, closefd=False), _printing(1), _printing(2)  # noqa: SIM115
    vars(sys).update(__stdin__=sys.stdin, __stdout__=sys.stdout, __stderr__=sys.stderr)


def _printing(descriptor: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)


def _close_all_but(kept: set[int]) -> None:
    for descriptor in [int(each) for each in os.listdir("/proc/self/fd")]:  # noqa: PTH208 - pathlib takes longer
        if descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:  # that of the listing itself
                continue
