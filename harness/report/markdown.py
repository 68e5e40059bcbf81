"""Untrusted texts in a page of Markdown that GitHub renders: each is shown literally, without markup.

GitHub makes links that Markdown does not: of ``@name``, which notifies a user, of ``#12`` and ``GH-12``, and of
addresses. It does so after it removes backslashes, so a zero-width space breaks these.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

MOST_LETTERS = 1000
"""Maximum number of characters of a text: a comment on a pull request may have 65,536."""

_MARKUP = re.compile(r"[\\|`*_\[\]~#$]")
_BEGINS_A_LINE = re.compile(r"^(\d*)(?=[-+=.)]+(\s|$))")
"""Beginnings that turn a line into a list, a rule or a heading."""

_LINKS = re.compile(r"(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=GH-)(?=\d)|(?<=:)(?=//)|(?<=www\.)", re.IGNORECASE)
NO_WIDTH = "\u200b"


def plain(text: str) -> str:
    """Return a text in one line, so that it can stand in a paragraph, a list, or a cell of a table."""
    shown = " ".join(text.split())
    if len(shown) > MOST_LETTERS:
        shown = f"{shown[:MOST_LETTERS]}…"
    shown = html.escape(_MARKUP.sub(r"\\\g<0>", _LINKS.sub(NO_WIDTH, shown)), quote=False)
    return _BEGINS_A_LINE.sub(r"\1\\", shown)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table; its cells are untrusted texts or numbers."""
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    return [*lines, *(f"| {' | '.join(plain(str(cell)) for cell in row)} |" for row in rows)]
