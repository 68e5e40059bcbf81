"""A report's folder, written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from harness.report import files
from harness.session import Run

MARK = "environment.json"
"""The file by which a folder is recognised as a report."""


class NotAReport(ValueError):
    """The folder that a report should replace holds something else."""


def writers() -> list[ModuleType]:
    """Return the modules that write a report's files."""
    return [import_module(f"{files.__name__}.{module.name}") for module in iter_modules(files.__path__)]


def check(target: Path) -> None:
    """Make sure that a report can be written to ``target``.

    Raises:
        NotAReport: if it exists and is neither a report nor empty.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise NotAReport(f"{target} is not a folder; choose another with --out")
    if target.is_dir() and any(target.iterdir()) and not (target / MARK).is_file():
        raise NotAReport(f"{target} holds something that is not a report, and is left alone; choose another with --out")


def write(run: Run, target: Path) -> None:
    """Write a run's report to ``target``, in place of a report that is there.

    Everything is written beside the target first, and takes its place when it is complete.

    Raises:
        NotAReport: if something else is there.
    """
    check(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        for module in writers():
            module.write(run, new / module.FILE)
        for path in [*new.iterdir(), new]:
            _flush(path)
        if target.exists():
            target.rename(old)
        new.rename(target)
        _flush(target.parent)
        shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
