"""The folders of cases: the user's own, where the command is run, and the library that comes with the package."""

from __future__ import annotations

from pathlib import Path

CASES_FOLDER = "cases"


def library() -> Path:
    """Return the folder of the library: in the installed package, or in the clone that the package is run from."""
    package = Path(__file__).parents[1]
    installed = package / CASES_FOLDER
    return installed if installed.is_dir() else package.parent / CASES_FOLDER
