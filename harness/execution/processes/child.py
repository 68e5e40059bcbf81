"""The first steps of every worker process: separate its messages from prints, and end when the harness is gone."""

from __future__ import annotations

import os
import sys

from harness import system
from harness.execution.processes.keeper import KEEPER, LIFELINE
from harness.execution.processes.transport import Channel


def opened_channel() -> Channel:
    """Move standard input and output to descriptors of their own, and return them as the channel.

    What a library or an implementation prints must not get between two messages: from here on standard output is
    standard error, which the harness reads, and standard input is empty. Nothing that is printed waits in a buffer, so
    that it is there even if the process ends. Every character can be printed, whatever the locale. A process that is
    forked from this one has no part in the messages.
    """
    channel = Channel(os.dup(0), os.dup(1), at_end=lambda: os._exit(1))
    system.in_forks(channel.abandon)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(  # type: ignore[union-attr]
            encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=True
        )
    return channel


def end_with_parent() -> None:
    """End this process, and those that it starts, when the harness is gone, even in the middle of a computation.

    The harness holds the other end of a pipe and writes nothing to it, so the pipe is closed when the harness is gone,
    however it ended.
    """
    system.end_with(os.environ[LIFELINE], os.environ.pop(KEEPER, None))


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
