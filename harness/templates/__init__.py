"""Files for a user to begin with, copied as they are: a case, and an implementation."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent


def case() -> str:
    """Return the text of a new case file, without its schema line."""
    return (_FOLDER / "case.yaml").read_text(encoding="utf-8")


def implementation() -> str:
    """Return the text of a new implementation: ``my_bptt.py`` of this folder, which is code under test."""
    return (_FOLDER / "my_bptt.py").read_text(encoding="utf-8")
