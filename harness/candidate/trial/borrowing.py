"""Notice an implementation whose answer the reference computes: the reference matches itself, whatever is wrong.

Calls are seen where they happen and not where a name is imported, so it does not matter under which name the reference
is called, or through how many functions. ``problem.loss`` and the activations are for everybody; they are no answer.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import reference_impls
from harness.candidate.trial.remark import Remark
from harness.implementations import Implementation

KIND = "calls the reference"

MOST_EVENTS = 1_000_000
"""Calls and returns that are looked at, a tenth of a second's; a call of the reference after so many is not seen."""

_REFERENCE = Path(reference_impls.__path__[0])
_HARNESS = Path(__file__).parents[2]
_OURS = (f"{_REFERENCE}{os.sep}", f"{_HARNESS}{os.sep}")
_FOR_EVERYBODY = ("activations", "losses", "truncation", "layer", "lengths", "optimisers", "derivatives", "__init__")
_SOLVING = {
    str(path): f"reference_impls.{path.stem}" for path in _REFERENCE.glob("*.py") if path.stem not in _FOR_EVERYBODY
}
"""The source files of the reference that compute answers, each with its module's name."""

_IMPLEMENTATIONS = {
    str(path): f"harness.implementations.{path.stem}" for path in (_HARNESS / "implementations").glob("*.py")
}
_BY_PROBLEM = str(_HARNESS / "problem" / "reference.py")
_BY_NAME = str(_HARNESS / "api.py")
_DECORATED = str(_HARNESS / "implementations" / "base.py")
"""The file that stands between a caller and an implementation that it calls."""

_TRIAL = str(_HARNESS / "candidate" / "trial" / "trial.py")


@dataclass
class Borrowing:
    """The calls for an answer, in words; empty where there was none.

    Attributes:
        whole: the first that computes gradients.
        forward: the first that computes a forward pass alone.
    """

    whole: str = ""
    forward: str = ""

    def remarks(self) -> Iterator[Remark]:
        """Say what was called, and what a match is then worth."""
        if self.whole:
            yield Remark(KIND, f"it calls {self.whole}, so a match says nothing of its own backward pass")
        elif self.forward:
            yield Remark(
                KIND, f"it runs {self.forward} forward, so loss and outputs say nothing of its own forward pass"
            )


@contextmanager
def watched(found: Borrowing) -> Iterator[None]:
    """Note the calls of this thread for an answer of the reference; none where something else profiles."""
    if sys.getprofile() is not None:
        yield
        return
    noticing = _noticing(found)
    sys.setprofile(noticing)
    try:
        yield
    finally:
        if sys.getprofile() is noticing:
            sys.setprofile(None)


def _noticing(found: Borrowing) -> Callable[[FrameType, str, Any], None]:
    files = {*_SOLVING, *_IMPLEMENTATIONS, _BY_PROBLEM, _BY_NAME}
    left = MOST_EVENTS

    def notice(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        del argument
        left -= 1
        if left < 0:
            sys.setprofile(None)
        elif event == "call" and frame.f_code.co_filename in files and _is_asked_from_outside(frame):
            if frame.f_code.co_name == "forward":
                found.forward = found.forward or _answer_of(frame)
            else:
                found.whole = found.whole or _answer_of(frame)

    return notice


def _answer_of(frame: FrameType) -> str:
    """Say what is asked for an answer by a call of a function of ours; empty for a helper beside it."""
    file, name = frame.f_code.co_filename, frame.f_code.co_name
    if file in _SOLVING:
        return f"the reference implementation {_SOLVING[file]}"
    if file == _BY_PROBLEM:
        return (
            "the reference implementation harness.problem.reference" if name in ("solve", "forward", "backward") else ""
        )
    if file == _BY_NAME:
        asked = frame.f_locals.get("name_or_function") if name == "run" else None
        return f"harness.run({asked!r}, …)" if isinstance(asked, str) else ""
    module = sys.modules.get(_IMPLEMENTATIONS[file])  # None for a copy that was loaded under another name
    for each in vars(module).values() if module is not None else ():
        if isinstance(each, Implementation) and getattr(each.function, "__code__", None) is frame.f_code:
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
