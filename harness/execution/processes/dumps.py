"""Dumps of Python's faulthandler at the end of a process: the place in the user's code, as a traceback.

Timeout (0:00:05)!
Thread 0x00007f52 (most recent call first):
  File "/home/me/my_rnn.py", line 12 in my_bptt
"""

from __future__ import annotations

import linecache
import re
import sysconfig
from pathlib import Path
from typing import NamedTuple

from harness.candidate.userfile.tracebacks import is_ours

_THREAD = re.compile(r"^(?:Current thread|Thread) 0x.*$", re.MULTILINE)
_FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<function>.*)$', re.MULTILINE)


class Frame(NamedTuple):
    """One frame of a dump."""

    file: str
    line: int
    function: str


def is_timeout(dump: str) -> bool:
    """Return whether a dump was written because of a timeout, and not because of a signal."""
    return dump.startswith("Timeout (")


def innermost(dump: str) -> str:
    """Return the innermost place in the user's code, as ``my_rnn.py:12 in my_bptt``; empty if there is none.

    A place in a package that the code calls stands for it only where no frame is the user's own.
    """
    found = frames(dump)
    found = [each for each in found if not _is_installed(each.file)] or found
    return f"{Path(found[-1].file).name}:{found[-1].line} in {found[-1].function}" if found else ""


def located(dump: str) -> str:
    """Write a dump as a traceback, from the user's line on, with the lines of the source."""
    lines = []
    for file, line, function in frames(dump):
        lines.append(f'  File "{file}", line {line}, in {function}')
        if source := linecache.getline(file, line).strip():
            lines.append(f"    {source}")
    return "\n".join(["It was here (most recent call last):", *lines]) if lines else ""


def frames(dump: str) -> list[Frame]:
    """Return the frames below the harness's own of the thread that has any, innermost last."""
    for thread in _THREAD.split(dump)[1:]:
        calls = [Frame(each["file"], int(each["line"]), each["function"]) for each in _FRAME.finditer(thread)]
        calls.reverse()
        first = next((i for i, each in enumerate(calls) if not _is_outside(each.file)), None)
        if first is not None and any(is_ours(each.file) for each in calls[:first]):
            return calls[first:]
    return []


def _is_installed(file: str) -> bool:
    """Return whether a frame belongs to Python's library or to an installed package."""
    return any(Path(file).is_relative_to(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib", "platlib"))


def _is_outside(file: str) -> bool:
    """Return whether a frame belongs to the harness or to Python's import and start, and not to the user's code."""
    return is_ours(file) or file.startswith("<frozen")
