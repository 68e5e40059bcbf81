"""The files of a folder that may hold an implementation. Nothing is imported."""

from __future__ import annotations

import re
from pathlib import Path

NOT_ENTERED = {"__pycache__", "site-packages", "node_modules"}
"""Names of folders without anybody's submission."""

_OF_A_RECURRENCE = re.compile(r"recurrence\s*=|\brecurrence\(")
"""Matches the source of a file about a recurrence: its declaration, or the argument of the decorator."""


def found_in(folder: Path, suffix: str = ".py") -> list[Path]:
    """Return the files below a folder with a suffix, in the order of their names and numbers (``s2`` before ``s10``).

    Hidden folders and environments are left.
    """
    found, waiting = [], [folder]
    while waiting:
        inside = waiting.pop()
        for each in inside.iterdir():
            if each.name.startswith(".") or each.name in NOT_ENTERED:
                continue
            if each.is_dir():
                if not each.is_symlink() and not (each / "pyvenv.cfg").exists():
                    waiting.append(each)
            elif each.suffix == suffix and each.name != "__init__.py" and each.is_file():
                found.append(each)
    return sorted(found, key=_in_order)


def _in_order(file: Path) -> list[tuple[int, int, str]]:
    # The longer number is the larger one.
    parts = re.findall(r"0*([0-9]+)|([^0-9]+)", str(file))
    return [(0, len(number), number) if number else (1, 0, text) for number, text in parts]


def is_about_a_recurrence(file: Path) -> bool:
    """Return whether a file declares a recurrence, or has an implementation of one, by its text."""
    return _OF_A_RECURRENCE.search(file.read_text(encoding="utf-8", errors="replace")) is not None
