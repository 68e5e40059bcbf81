"""A traceback of the user's code, from the user's line on, without the frames of the harness."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import harness
import reference_impls
from harness.casefile import nearest
from harness.problem import Problem
from harness.terminal import text

_OURS = tuple(str(Path(package.__path__[0]).resolve()) for package in (harness, reference_impls))


def is_ours(file: str) -> bool:
    """Return whether a source file belongs to the harness, or to Python's import system."""
    return file.startswith((*_OURS, "<frozen importlib", "<frozen runpy"))


def is_users(file: str, folder: Path) -> bool:
    """Return whether a source file is the user's own: below its folder, and not installed there."""
    installed = {"site-packages", "dist-packages"} & set(Path(file).parts)
    return Path(file).is_relative_to(folder) and file.endswith(".py") and not installed and not is_ours(file)


def line_of(error: BaseException) -> str:
    """Return the exception in one line, with the nearest valid name where a name is wrong."""
    line = text.line_of(error)
    return f"{line}; {hint}" if (hint := _hint(error)) else line


def from_users_line_on(error: BaseException) -> str:
    """Return the traceback of an exception without the frames above the user's code.

    If the harness itself refused a value (a ValueError of ours), the frames below are left out, too.
    """
    trace: TracebackType | None = error.__traceback__
    while trace is not None and is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    if trace is None and not isinstance(error, SyntaxError):
        return "".join(traceback.format_exception(error))
    found = traceback.TracebackException(type(error), error, trace, compact=True)
    if isinstance(error, ValueError):
        while found.stack and is_ours(found.stack[-1].filename) and not found.stack[-1].filename.startswith(_OURS[1]):
            found.stack.pop()
    return "".join(found.format())


def place_of(error: BaseException, folder: Path) -> tuple[str, int] | None:
    """Return file and line of the innermost frame in the user's own files; None if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        if frame.lineno is not None and is_users(frame.filename, folder):
            return frame.filename, frame.lineno
    return None


def _hint(error: BaseException) -> str:
    if isinstance(error, AttributeError) and isinstance(error.obj, Problem):
        there = [each for each in dir(error.obj) if not each.startswith("_")]
        longer = [each for each in there if error.name in each.split("_")]  # `state` for `initial_state`
        return f"did you mean {longer[0]!r}?" if longer else nearest(error.name, there)
    if isinstance(error, AttributeError) and isinstance(error.obj, dict):
        return next((hint for problem in _problems(error) for hint in _by_name(error.obj, problem)), "")
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        # The innermost local variable that is a problem has the names that were meant.
        return next((_nearest_array(error.args[0], problem) for problem in _problems(error)), "")
    return ""


def _problems(error: BaseException) -> Iterator[Problem]:
    """Yield the problems among the local variables of the frames of an error, the innermost frame first."""
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        yield from (value for value in frame.f_locals.values() if isinstance(value, Problem))


def _by_name(used: Mapping[str, Any], problem: Problem) -> Iterator[str]:
    """Yield how an array of a dictionary of a problem is written."""
    for holder, arrays in problem.by_name.items():
        if arrays is used and used:
            yield f"problem.{holder} has arrays by name; write problem.{holder}[{next(iter(used))!r}]"


def _nearest_array(name: str, problem: Problem) -> str:
    held = problem.by_name
    for holder, arrays in held.items():
        if name in arrays:
            return f"it is in problem.{holder}"
    there = list(dict.fromkeys(each for arrays in held.values() for each in arrays))
    if (of := problem.recurrence) is not None:
        if name in of.optional:
            holder = "weights" if name in of.weights else "initial_state" if name in of.state else "inputs"
            return f"it is optional, and absent in this problem; problem.{holder}.get({name!r}) returns None then"
        in_layers = [each for each in there if each.rpartition(".")[2] == name]
        found = f"did you mean {in_layers[0]!r}?" if in_layers else nearest(name, there)
        return found or f"there are {', '.join(there)}"
    return nearest(name, there) or f"in the layout {problem.layout!r} there are {', '.join(there)}"
