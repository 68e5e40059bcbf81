"""What every worker process does first: keep its messages to itself, and end when the harness is gone."""

from __future__ import annotations

import fcntl
import os
import select
import sys
from importlib.metadata import PackageNotFoundError, version

from harness.worker.transport import Channel

LIFELINE = "HARNESS_LIFELINE"
"""The environment variable that has the descriptor of the pipe that is closed when the harness is gone."""


def opened_channel() -> Channel:
    """Move standard input and output to descriptors of their own, and return them as the channel.

    What a library or an implementation prints must not get between two messages: from here on standard output is
    standard error, which goes to a file, and standard input is empty. Nothing that is printed waits in a buffer, so
    that it is there even if the process ends.
    """
    channel = Channel(os.dup(0), os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, write_through=True)  # type: ignore[union-attr]
    return channel


def end_with_parent() -> None:
    """End this process, and those that it starts, when the harness is gone, even in the middle of a computation.

    The harness holds the other end of a pipe, and nobody writes to it. When the harness is gone, however it ended, the
    system signals that the pipe can be read. Nothing handles that signal, so it ends the process, even one that never
    comes back to Python.
    """
    lifeline = int(os.environ[LIFELINE])
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    waiting = select.poll()
    waiting.register(lifeline, select.POLLIN)
    if waiting.poll(0):  # it was gone before the signal was asked for
        os._exit(1)


def version_of(module: str) -> str:
    """Return the version of an imported module."""
    try:
        return version(module)
    except PackageNotFoundError:
        return str(getattr(sys.modules[module], "__version__", "unknown"))
