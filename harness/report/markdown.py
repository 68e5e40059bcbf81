"""Texts of anybody's in a page of Markdown that GitHub renders: each reads as it is, and none of it is markup.

GitHub makes links of more than Markdown does: of ``@somebody``, whom it notifies, of ``#12`` and ``GH-12``, which then
refer to the page, and of addresses. It does so after a backslash is gone, so that a space without width parts these.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

MOST_LETTERS = 1000
"""Letters of a text that are shown: a comment on a pull request may have 65,536."""

_MARKUP = re.compile(r"[\\|`*_\[\]~#$]")
_BEGINS_A_LINE = re.compile(r"^(\d*)(?=[-+=.)]+(\s|$))")
"""The beginnings that make a list, a rule or a heading of a line."""

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
    """Return the lines of a table, whose cells are texts of anybody's or numbers."""
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    return [*lines, *(f"| {' | '.join(plain(str(cell)) for cell in row)} |" for row in rows)]
