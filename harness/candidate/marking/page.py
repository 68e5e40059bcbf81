"""The page and the table of marks, in the folder of ``harness mark``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.candidate.marking.mark import BORROWED, BROKEN, COLUMNS, HANGS, NOTHING, PART, RIGHT, WRONG, Mark
from harness.report import table
from harness.terminal.words import counted

TABLE, PAGE = "marks.csv", "index.html"
ORDER = (RIGHT, PART, WRONG, BORROWED, BROKEN, HANGS, NOTHING)
"""The marks, in the order of a summary."""

PLURAL = {BORROWED: "call the reference", BROKEN: "do not run", HANGS: "hang"}
"""The marks with a verb, as several files have them."""

CALM = (RIGHT, PART)
"""The marks that need no look."""


def summary(marks: Sequence[Mark]) -> str:
    """Return the counts of a folder in one line."""
    counts = Counter(each.mark for each in marks)
    words = {name: PLURAL.get(name, name) if counts[name] > 1 else name for name in ORDER}
    found = ", ".join(f"{counts[name]:,} {words[name]}" for name in ORDER if counts[name])
    return f"{counted(len(marks), 'file')}: {found}"


def write(out: Path, marks: Sequence[Mark], about: Mapping[str, Any]) -> None:
    """Write the table and the page.

    Args:
        out: the folder.
        marks: the rows.
        about: ``cases``, as they are named; ``command``, which makes the page anew.
    """
    out.mkdir(parents=True, exist_ok=True)
    new = out / f".{TABLE}"
    table.write(new, COLUMNS, (each.row for each in marks))
    os.replace(new, out / TABLE)  # noqa: PTH105 - in one step
    new = out / f".{PAGE}"
    new.write_text(text(marks, about), encoding="utf-8", errors=table.ODD)
    os.replace(new, out / PAGE)  # noqa: PTH105


def text(marks: Sequence[Mark], about: Mapping[str, Any]) -> str:
    """Return the page: a banner, and a row for each file with its fault, the place and a link to its report."""
    from jinja2 import Environment
    from markupsafe import Markup

    sources = files("harness.candidate.marking").joinpath("sheet")
    style, template = (sources.joinpath(name).read_text(encoding="utf-8") for name in ("marks.css", "marks.html.j2"))
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        summary=summary(marks),
        marks=marks,
        calm=CALM,
        style=Markup(style),
        passed=all(each.mark == RIGHT for each in marks),
        **about,
    )
