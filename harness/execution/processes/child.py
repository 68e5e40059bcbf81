"""The first steps of every worker process: separate its messages from prints, and end when the harness is gone."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys

from harness.execution.processes.keeper import KEEPER, LIFELINE
from harness.execution.processes.transport import Channel

SET_PARENT_DEATH_SIGNAL = 1
"""Linux's number of a request to the system: a signal when the parent ends."""


def opened_channel() -> Channel:
    """Move standard input and output to descriptors of their own, and return them as the channel.

    What a library or an implementation prints must not get between two messages: from here on standard output is
    standard error, which the harness reads, and standard input is empty. Nothing that is printed waits in a buffer, so
    that it is there even if the process ends. Every character can be printed, whatever the locale. A process that is
    forked from this one has no part in the messages.
    """
    channel = Channel(os.dup(0), os.dup(1))
    os.register_at_fork(after_in_child=channel.abandon)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(  # type: ignore[union-attr]
            encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=True
        )
    return channel


def end_with_parent() -> None:
    """End this process, and those that it starts, when the harness is gone, even in the middle of a computation.

    The harness holds the other end of a pipe and writes nothing to it. When the harness is gone, however it ended, the
    system signals that the pipe can be read. Nothing handles that signal, so it ends the process, even one that never
    comes back to Python.
    """
    if KEEPER in os.environ:
        _end_with(int(os.environ.pop(KEEPER)))
    lifeline = int(os.environ[LIFELINE])
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    waiting = select.poll()
    waiting.register(lifeline, select.POLLIN)
    if waiting.poll(0):  # it was gone before the signal was asked for
        os._exit(1)


def _end_with(keeper: int) -> None:
    """End this process when its keeper is killed: without it, nothing would end what is started here."""
    import ctypes

    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != keeper:  # it ended before the signal was asked for
        os._exit(1)


def version_of(module: str) -> str:
    """Return the version of an imported module."""
    stated = getattr(sys.modules[module], "__version__", None)
    if isinstance(stated, str):
        return stated
    from importlib.metadata import PackageNotFoundError, version  # takes longer than what a user waits for

    try:
        return version(module)
    except PackageNotFoundError:
        return "unknown"
