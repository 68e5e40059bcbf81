"""Detection of calls to the reference, in this process and in those that it starts.

Calls are detected, not imports, so the name of the reference and the number of functions between do not matter.
``problem.loss`` and the activations are allowed: they are not answers.

A process that a user's code starts writes its calls to a file of the worker, which the environment names. On Linux
this works for a fork, for each start method of ``multiprocessing``, for Python as a program, and for their children.
Not watched are processes with another environment (``env={}``), processes that other programs start on request
(``systemd-run``, ``docker``), and processes that remove the profiler. A copy of the source and threads from before
the watching are not watched either, nor is any process on a system other than Linux.

This module imports nothing of the harness: the package ``reference_impls`` imports it before all else.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

import reference_impls

MOST_EVENTS = 1_000_000
"""Maximum number of watched calls and returns, a tenth of a second; a later call of the reference is not seen."""

MOST_EVENTS_OF_CHILD = 10 * MOST_EVENTS
"""The same for a process that is watched from its beginning: importing the harness takes half a million."""

MOST_NOTED = 2**16
"""Number of bytes of the notes of other processes that are read at a time."""

WHOLE, FORWARD = "whole", "forward"
"""The kinds of calls: for gradients, and for a forward pass alone."""

Note = Callable[[str, str], None]
"""Takes the kind of a call, and the name of the called function."""

_NOTES = "HARNESS_NOTES"
"""The environment variable that has the path of the file of notes."""

_REFERENCE = Path(reference_impls.__path__[0])
_HARNESS = Path(__file__).parents[1]
_OURS = (f"{_REFERENCE}{os.sep}", f"{_HARNESS}{os.sep}")
_FOR_EVERYBODY = ("activations", "losses", "truncation", "layer", "lengths", "optimisers", "derivatives", "__init__")
_SOLVING = {
    str(path): f"reference_impls.{path.stem}" for path in _REFERENCE.glob("*.py") if path.stem not in _FOR_EVERYBODY
}
"""The source files of the reference that compute answers, each with its module's name."""

_IMPLEMENTATIONS = {
    str(path): f"harness.implementations.{path.stem}" for path in (_HARNESS / "implementations").glob("*.py")
}
_COMMANDS = {str(_HARNESS / "cli" / f"{name}.py"): name for name in ("run", "check", "port")}
"""The source files of commands that write answers of the reference into a report."""

_BY_PROBLEM = str(_HARNESS / "problem" / "reference.py")
_BY_NAME = str(_HARNESS / "api.py")
_DECORATED = str(_HARNESS / "implementations" / "base.py")
"""The file that stands between a caller and an implementation that it calls."""

_TRIAL = str(_HARNESS / "candidate" / "trial" / "trial.py")
_FILES = {*_SOLVING, *_IMPLEMENTATIONS, *_COMMANDS, _BY_PROBLEM, _BY_NAME}

_notes: BinaryIO | None = None


@contextmanager
def watched(note: Note) -> Iterator[None]:
    """Note the calls of the reference in this thread and in those that it starts, unless something else profiles."""
    if sys.getprofile() is not None:
        yield
        return
    noticing, of_threads = _noticing(note, MOST_EVENTS), threading.getprofile()
    threading.setprofile(noticing)
    sys.setprofile(noticing)
    try:
        yield
    finally:
        if sys.getprofile() is noticing:
            sys.setprofile(None)
        threading.setprofile(of_threads)


def watch_children() -> None:
    """Make the processes that this one starts from now on note their calls, for ``noted_by_children``."""
    global _notes
    if sys.platform != "linux" or not hasattr(os, "register_at_fork"):
        return
    if _is_ours(sys.getprofile()):  # this process is itself one that a user's code started
        sys.setprofile(None)
        threading.setprofile(None)
    _notes = tempfile.TemporaryFile("ab+")  # noqa: SIM115 - it is gone with this process, however that ends
    os.environ[_NOTES] = f"/proc/{os.getpid()}/fd/{_notes.fileno()}"
    os.environ[reference_impls.OBSERVER] = __name__
    os.register_at_fork(after_in_child=_watch_this_process)


def noted_by_children(since: int) -> Iterator[tuple[str, str]]:
    """Yield the kind of each call that another process noted, and what it called.

    Args:
        since: where in the notes to begin, as ``length_of_notes`` has it.
    """
    if _notes is None:
        return
    with suppress(OSError):  # the user's code closed what it did not open, which ends this process soon
        os.lseek(_notes.fileno(), since, os.SEEK_SET)  # the notes are appended, wherever they are read
        for line in os.read(_notes.fileno(), MOST_NOTED).decode(errors="replace").splitlines():
            kind, _, called = line.partition("\t")
            if kind in (WHOLE, FORWARD):
                yield kind, f"{called} in a process that it starts"


def length_of_notes() -> int:
    """Return how many bytes other processes noted so far."""
    with suppress(OSError):
        return 0 if _notes is None else os.fstat(_notes.fileno()).st_size
    return 0


def _watch_this_process() -> None:
    """Note the calls of this process, in the threads that it starts, too, and those that are under way."""
    profiler = sys.getprofile()
    if profiler is not None and not _is_ours(profiler):  # a fork inherits what watched the thread
        return
    noticing = _noticing(_write_down, MOST_EVENTS_OF_CHILD)
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        noticing(frame, "call", None)
        frame = frame.f_back
    threading.setprofile(noticing)
    sys.setprofile(noticing)


def _is_ours(profiler: object) -> bool:
    return getattr(profiler, "__module__", "") == __name__


def _write_down(kind: str, called: str) -> None:
    with suppress(OSError), open(os.environ[_NOTES], "ab", 0) as file:  # noqa: PTH123 - pathlib may be gone at exit
        file.write(f"{kind}\t{called}\n".encode())


def _noticing(note: Note, most: int) -> Callable[[FrameType, str, Any], None]:
    left = most

    def notice(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        del argument
        left -= 1
        if left < 0:
            sys.setprofile(None)
        elif (
            event == "call"
            and frame.f_code.co_filename in _FILES
            and _is_asked_from_outside(frame)
            and (called := _answer_of(frame))
        ):
            note(FORWARD if frame.f_code.co_name == "forward" else WHOLE, called)

    return notice


def _answer_of(frame: FrameType) -> str:
    """Return the name of the reference that a call of our function asks for an answer; empty for a helper."""
    file, name = frame.f_code.co_filename, frame.f_code.co_name
    if name == "<module>":
        return ""
    if file in _SOLVING:
        return f"the reference implementation {_SOLVING[file]}"
    if file == _BY_PROBLEM:
        return (
            "the reference implementation harness.problem.reference" if name in ("solve", "forward", "backward") else ""
        )
    if file == _BY_NAME:
        asked = frame.f_locals.get("name_or_function") if name == "run" else None
        return f"harness.run({asked!r}, …)" if isinstance(asked, str) else ""
    if file in _COMMANDS:
        return f"the command harness {_COMMANDS[file]}" if name == "command" else ""
    module = sys.modules.get(_IMPLEMENTATIONS[file])  # None for a copy that was loaded under another name
    for each in vars(module).values() if module is not None else ():
        function = getattr(each, "function", None)  # the function of an implementation
        if getattr(function, "__code__", None) is frame.f_code:
            return f"the implementation {each.name} of the harness"
    return ""


def _is_asked_from_outside(frame: FrameType) -> bool:
    """Return True if code outside the harness called a function, or the function itself is tried out."""
    caller = frame.f_back
    while caller is not None and caller.f_code.co_filename == _DECORATED:
        caller = caller.f_back
    if caller is None or caller.f_code.co_filename == _TRIAL:
        return True
    return not caller.f_code.co_filename.startswith(_OURS)


if _NOTES in os.environ:
    _watch_this_process()
