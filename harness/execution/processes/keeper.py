"""The parent of a process of a user's code, on Linux: it ends whatever that process started, in whatever session.

    python keeper.py PROGRAM ARGUMENT ...
    python keeper.py --adopt NUMBER

A process in a session of its own, or one whose parent has ended, belongs to no group that the harness could signal. The
system gives such an orphan to the nearest ancestor that asked for orphans, and that is the keeper. So everything that
the program ever started is below the keeper, and nothing else is. The keeper kills it when the program has ended,
however that was, or when the harness is gone or has closed the lifeline, and then ends as the program did. It imports
nothing of the harness and computes nothing, so that it is there at once and cannot hang.

Out of its reach are processes that others start on request (``systemd-run``, ``docker``, ``at``), and those that run as
another user (``sudo``). Code that kills this process leaves what has a session of its own.
"""

from __future__ import annotations

import os
import sys

LIFELINE = "HARNESS_LIFELINE"
"""The environment variable that has the descriptor of the pipe that is closed when the harness is gone."""

KEEPER = "HARNESS_KEEPER"
"""The environment variable that has the keeper's number, for the program to end when the keeper does."""

ADOPT = "--adopt"
"""The argument before the number of a program that is this process's child already."""

SET_CHILD_SUBREAPER = 36
PATIENCE = 5.0
"""Seconds for what was killed to be gone; a process that waits for a disk may take longer."""


def main(command: list[str]) -> None:
    """Run a program, and end as it does when nothing that it started is left."""
    program = int(command[1]) if command[0] == ADOPT else _started(command)
    import ctypes  # while the program starts: nothing waits for this
    import signal

    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # they are the program's, and it must be seen when it closes them
        os.dup2(nothing, stream)
    status = _watched(program, int(os.environ[LIFELINE]), woken)
    _kill_what_is_left(woken)
    _end_as(status)


def _started(command: list[str]) -> int:
    """Start a program and return its number."""
    keeper = os.getpid()
    program = os.fork()
    if program == 0:
        os.setsid()
        os.environ[KEEPER] = str(keeper)
        os.execv(command[0], command)
    return program


def _watched(program: int, lifeline: int, woken: int) -> int | None:
    """Return how the program ended; None if the harness is gone or wants it to end."""
    import select

    poll = select.poll()
    for descriptor in (lifeline, woken):
        poll.register(descriptor, select.POLLIN)
    while True:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:  # it may have ended before its signal was listened for
            if ended[0] == program:
                return ended[1]
        ready = [descriptor for descriptor, _ in poll.poll()]
        if woken in ready:
            os.read(woken, 4096)
        if lifeline in ready:
            return None


def _kill_what_is_left(woken: int) -> None:
    """Kill the children, and theirs, which become ours by that, until there are none."""
    import select
    import signal
    import time

    poll = select.poll()
    poll.register(woken, select.POLLIN)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:  # there is none any more
            return
        for child in _children():
            try:
                os.kill(child, signal.SIGKILL)
            except (PermissionError, ProcessLookupError):
                continue
        if poll.poll(100):
            os.read(woken, 4096)


def _children() -> list[int]:
    """Return the direct children. A number among them is no other process's before its end is waited for here."""
    found: list[int] = []
    if not os.path.isdir("/proc"):  # noqa: PTH112 - to import pathlib would take longer
        return found
    for entry in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        try:
            with open(f"/proc/{entry}/stat", errors="replace") as file:  # noqa: PTH123
                parent = file.read().rpartition(")")[2].split()[1]
        except OSError:  # it has ended meanwhile
            continue
        if int(parent) == os.getpid():
            found.append(int(entry))
    return found


def _end_as(status: int | None) -> None:
    if status is None:
        os._exit(0)
    if os.WIFSIGNALED(status):
        import resource
        import signal

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the program left its own
        if os.WTERMSIG(status) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1:])
