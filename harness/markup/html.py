"""Elements of HTML. A text inside is escaped unless it is ``Html`` already."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any


class Html(str):
    """A text that is HTML, and is not escaped again."""

    __slots__ = ()


def element(tag: str, *children: object, **attributes: object) -> Html:
    """Return an element.

    Args:
        tag: Its name.
        children: Its content, in order; texts are escaped.
        attributes: Its attributes; a trailing ``_`` is removed from a name (``class_``), and empty ones are left out.
    """
    written = "".join(
        f' {name.rstrip("_")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value not in ("", None)
    )
    inside = "".join(each if isinstance(each, Html) else html.escape(str(each), quote=False) for each in children)
    return Html(f"<{tag}{written}>{inside}</{tag}>")


def verdict(word: str, *others: object) -> Html:
    """Return a line that begins with a verdict."""
    return element("p", element("span", word, class_=f"verdict {word.lower()}"), *others)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]], wrong: Sequence[bool] = ()) -> Html:
    """Return a table without the columns that are empty in each row.

    Args:
        heads: The titles of the columns; the first column has words, the others may have numbers.
        rows: The cells of each row.
        wrong: For each row, whether it stands out; none does by default.
    """
    used = [k for k in range(len(heads)) if any(str(row[k]) for row in rows)]
    head = element("tr", *(element("th", heads[k]) for k in used))
    marked = [*wrong, *(False for _ in rows[len(wrong) :])]
    body = [
        element("tr", *(element("td", row[k]) for k in used), class_="wrong" if bad else "")
        for row, bad in zip(rows, marked, strict=True)
    ]
    return element("table", element("thead", head), element("tbody", *body))


def output(*children: Any) -> str:
    """Return the output of a notebook's cell: its content, and the style for it."""
    return element("div", element("style", style()), *children, class_="bptt-harness")


@cache
def style() -> Html:
    """Return the style of outputs. It has no colour of paper or ink, because a notebook has its own, light or dark."""
    return Html(files(__package__).joinpath("output.css").read_text(encoding="utf-8").strip())
