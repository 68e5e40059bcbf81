"""The survivors that ``docs/surviving_mutants.md`` argues: no test can notice them, for the reason on the page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.mutation.mutants import name_of_mutant, one_line
from benchmarks.mutation.targets import ROOT

PAGE = ROOT / "docs" / "surviving_mutants.md"
LINE = re.compile(
    r"- `(?P<path>[^` ]+)` `(?P<function>[^` ]+)`: ``(?P<before>.+?)`` → ``(?P<after>.*?)``(?: \(no\. (?P<nth>\d+)\))?"
)


def line_of(path: str, function: str, before: str, after: str, nth: int) -> str:
    """Write a survivor in the form of the page."""
    return f"- `{path}` `{function or '-'}`: ``{before}`` → ``{after}``" + (f" (no. {nth})" if nth > 1 else "")


def listed(page: Path = PAGE) -> Iterator[re.Match[str]]:
    """Yield the survivors that the page lists.

    Raises:
        ValueError: If a line of a list cannot be read.
    """
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.startswith("- `"):
            found = LINE.fullmatch(line)
            if found is None:
                raise ValueError(f"{page.name}:{number}: no mutant as the page lists them: {line}")
            yield found


def argued(page: Path = PAGE) -> set[str]:
    """Return the names of the mutants that the page lists."""
    return {
        name_of_mutant(each["path"], each["function"], each["before"], each["after"], int(each["nth"] or 1))
        for each in listed(page)
    }


def gone(page: Path = PAGE, root: Path = ROOT) -> Iterator[str]:
    """Yield the lines of the page with a mutant that cannot be made any more: its function has no such code."""
    for each in listed(page):
        if each["before"] not in _source(root / each["path"], each["function"]):
            yield each[0]


def _source(file: Path, function: str) -> str:
    """Return the code of a function in one line, or of the whole module for ``-``; empty if it does not exist."""
    if not file.exists():
        return ""
    source = file.read_text()
    inside: list[ast.stmt] = ast.parse(source).body
    found: ast.stmt | None = None
    for name in [] if function == "-" else function.split("."):
        named = [each for each in inside if isinstance(each, ast.FunctionDef | ast.ClassDef) and each.name == name]
        if not named:
            return ""
        found, inside = named[-1], named[-1].body
    return one_line(source if found is None else ast.get_source_segment(source, found) or "")
