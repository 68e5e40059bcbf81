"""What every worker process does first: keep its messages to itself, and end when the harness is gone."""

from __future__ import annotations

import os
import sys
import threading
import time
from importlib.metadata import PackageNotFoundError, version

from harness.worker.transport import Channel


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
    """End this process soon after the harness is gone, even in the middle of a computation."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def version_of(module: str) -> str:
    """Return the version of an imported module."""
    try:
        return version(module)
    except PackageNotFoundError:
        return str(getattr(sys.modules[module], "__version__", "unknown"))
