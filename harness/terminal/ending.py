"""The end of a command: its exit status, and the message if it failed."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from pathlib import Path

from harness.terminal.door import Door, opened
from harness.terminal.interrupts import Interrupts

BAD_INPUT = 2
INTERNAL = 70
"""EX_SOFTWARE of sysexits.h."""

INTERRUPTED = 130
"""128 plus the number of SIGINT, as in shells."""

TERMINATED = 143
"""128 and the number of SIGTERM."""


class Refused(ValueError):
    """A user's argument or file cannot be used; the text says what, where and why, and what to do."""


_WRITING = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS")}
_NAMES = (
    *("EACCES", "EPERM", "ENOENT", "EEXIST", "ENOTDIR", "EISDIR", "ENOTEMPTY"),
    *("ENAMETOOLONG", "EILSEQ", "ELOOP", "EXDEV", "EBUSY", "ETXTBSY", "ESTALE"),
    *("EIO", "ENXIO", "ENODEV", "EMFILE", "ENFILE", "EAGAIN", "ENOMEM"),
)
_OF_THE_SYSTEM = {*_WRITING, *(getattr(errno, name, None) for name in _NAMES)} - {None}  # no system has them all
"""Errors of the user's file system, disk or limits; any other error is the harness's own."""

_HARNESS = Path(__file__).parent.parent

_FAILED = (
    "Error: the harness itself failed, which says nothing about your files or your gradients; "
    "please report the lines above with the output of `harness doctor`"
)


def ended(work: Callable[[], int], *, for_good: bool) -> int:
    """Do a command's work with safe output streams; return the process's exit status, even after an error.

    An error's notes are printed with it. They should say what is kept and how to continue.

    Args:
        work: The function that does the work and returns the exit status.
        for_good: True if the process ends afterwards.
    """
    interrupts = Interrupts(for_good=for_good)
    try:
        with opened() as (out, _):
            try:
                try:
                    interrupts.begin()
                    status = work()
                finally:
                    interrupts.ignore()
            except BaseException as error:
                if not for_good and not isinstance(error, Exception | KeyboardInterrupt | SystemExit):
                    raise  # the caller caused it, for example by a time-out
                status = _status_of(error, interrupted=interrupts.came)
            if status == INTERRUPTED and interrupts.came:
                status = 128 + interrupts.came
            return _with_output(out, status)
    finally:
        interrupts.end()


def _status_of(error: BaseException, *, interrupted: int) -> int:
    """Report the error that ended the work, and return its exit status; ``interrupted`` is the signal, 0 for none."""
    notes: list[str] = getattr(error, "__notes__", [])
    if interrupted or isinstance(error, KeyboardInterrupt):  # an interrupted import may raise ImportError
        _say("terminated" if interrupted == TERMINATED - 128 else "interrupted", *notes)
        return INTERRUPTED
    if isinstance(error, Refused):
        _say(f"Error: {error}", *notes)
        return BAD_INPUT
    if isinstance(error, OSError) and _is_of_the_system(error):
        _say(f"Error: {_in_words(error)}", *notes)
        return BAD_INPUT
    import traceback

    traceback.print_exception(error, file=sys.stderr)  # its notes are the last lines
    _say("", _FAILED)
    return INTERNAL


def _with_output(out: Door, status: int) -> int:
    """Return the exit status, given the state of standard output.

    If the reader is gone, it has read enough. If the disk is full, the output is incomplete, so the status is not 0.
    """
    if out.lost is None or out.lost.errno == errno.EPIPE:
        return status
    _say(f"Error: standard output cannot be written: {out.lost.strerror}")
    return status or BAD_INPUT


def _is_of_the_system(error: OSError) -> bool:
    """Return whether an error belongs to the user's system, and not to the harness."""
    named = [Path(name) for name in (error.filename, error.filename2) if isinstance(name, str)]
    return error.errno in _OF_THE_SYSTEM and not any(path.is_relative_to(_HARNESS) for path in named)


def _in_words(error: OSError) -> str:
    if error.filename is None:
        return f"a file cannot be written: {error.strerror}" if error.errno in _WRITING else str(error.strerror)
    paths = " to ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    return f"{paths} cannot be {'written' if error.errno in _WRITING else 'used'}: {error.strerror}"


def _say(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(f"{line}\n")
