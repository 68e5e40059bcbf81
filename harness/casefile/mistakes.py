"""A mistake in a user's file: its place, the problem, and the right value."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

Path = tuple[str | int, ...]
"""The path from a document's root to one of its values: keys of mappings, positions in lists."""


def dotted(path: Path) -> str:
    """Write a path as users do: ``loss.steps[1]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True)
class Mistake:
    """One mistake in one file.

    Attributes:
        file: The file, as the user named it.
        line, column: The position, counted from 1; None if the mistake is the file itself.
        path: The field; () for the whole document.
        problem: The problem, and the value that should be there.
        hint: The nearest valid name, or the next thing to do; may be empty.
    """

    file: str
    line: int | None
    column: int | None
    path: Path
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}:{self.column}"
        field = f"{dotted(self.path)}: " if self.path else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{place}: {field}{self.problem}{hint}"


class MistakesFound(ValueError):
    """A user's file has mistakes.

    Attributes:
        mistakes: All mistakes, in the order of the file.
    """

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


MOST_NAMES = 1000
LONGEST_NAME = 200
"""Maximum number of names, and maximum length of one, in a search for the nearest: its time grows with both."""


def nearest(name: object, valid: Iterable[str]) -> str:
    """Return ``did you mean 'hidden'?`` for the valid name nearest to ``name``, or nothing if none is near.

    The answer is never the name itself: if it is valid, something else is wrong.
    """
    if len(str(name)) > LONGEST_NAME:
        return ""
    others = [each for each in islice(valid, MOST_NAMES) if each != str(name)]
    alike = [each for each in others if each.lower() == str(name).lower()]
    matches = alike or difflib.get_close_matches(str(name), others, n=1, cutoff=0.6)
    return f"did you mean {matches[0]!r}?" if matches else ""


def listed(names: Iterable[str]) -> str:
    """Write names as ``a, b or c``."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
