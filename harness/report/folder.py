"""A report's folder: written whole or not at all, in place of a report and of nothing else."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from importlib import import_module
from itertools import count
from pathlib import Path
from pkgutil import iter_modules
from stat import S_IMODE
from types import ModuleType
from typing import TYPE_CHECKING

from harness.report import manifest, pages, table, tables
from harness.report.environment import FILE as ENVIRONMENT
from harness.report.kept import FOLDER as KEPT
from harness.report.kept import NAMES as KEPT_FILES
from harness.report.manifest import NotAReport
from harness.report.placing import take_place
from harness.report.scratch import is_scratch, scratch, stays
from harness.system import alone, flush

if TYPE_CHECKING:
    from harness.report.report import Report

_FILE = re.compile(r'^FILE = "([^"]+)"$', re.MULTILINE)
"""Matches the name of its file in the source of a table or a page."""

PROBE_BYTES = 2**16
"""Number of bytes that are written before a run begins, to check that a report can be written."""


def writers() -> list[ModuleType]:
    """Return the modules that write a report's pages."""
    return [import_module(f"{pages.__name__}.{module.name}") for module in iter_modules(pages.__path__)]


def check(target: Path) -> None:
    """Make sure that a report can be written to ``target``, before anything is computed for it.

    Raises:
        NotAReport: if not: something else is there, or the file system refuses.
    """
    try:
        with scratch(target) as folder, alone(target.resolve().parent):
            _own_files(target)
            (folder / "probe").write_bytes(bytes(PROBE_BYTES))
    except OSError as error:
        raise NotAReport(f"{target} cannot be written: {error.strerror}; choose another folder") from None


def write(report: Report, target: Path) -> None:
    """Write a report to ``target``, in place of the present one; other files stay.

    It is made in a folder near the target first, and takes its place when it is complete.

    Raises:
        NotAReport: if something else is in its place.
        OSError: if it cannot be written; the report that was there is still there.
    """
    if report.dated:
        from harness.report.history import with_history

        report = with_history(report, target)
    with scratch(target) as folder:
        new = folder / "new"
        new.mkdir()
        _fill(new, report)
        for path in [*new.rglob("*"), new]:
            flush(path)
        place = target.resolve()
        with alone(place.parent):
            try:
                own = _own_files(target)
            except NotAReport as reason:  # it appeared during the run; the new report must not be lost
                free = _free(place)
                new.rename(free)
                raise NotAReport(f"{reason}; this report is in {free}") from None
            if place.is_dir():
                new.chmod(S_IMODE(place.stat().st_mode))
            take_place(new, place, own)
        flush(place.parent)


def _free(place: Path) -> Path:
    """Return a folder that is not there, near another."""
    near = place / "report" if stays(place) else place
    return next(path for n in count(2) if not (path := near.with_name(f"{near.name}-{n}")).exists())


def _own_files(target: Path) -> frozenset[str]:
    """Return the paths below a folder of the files that a new report may replace.

    Raises:
        NotAReport: if the folder holds something else where a report's files go, or no report and other files.
    """
    place = target.resolve()
    if target.is_symlink() or (place.exists() and not place.is_dir()):
        kind = "link" if target.is_symlink() else "file"
        raise NotAReport(f"{target} is a {kind}, but a report is a folder; choose another")
    if not place.exists():
        return frozenset()
    for folder in (place, place / KEPT):
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    names = _names()
    found = manifest.own_files(place, names)
    own = found or frozenset()
    there = [path for path in place.iterdir() if not is_scratch(path, place)]
    if found is None and there and place != Path.cwd():
        if {ENVIRONMENT, manifest.FILE} <= {path.name for path in there}:
            held = "a report of an earlier version, which does not list its files"
            advice = "move or remove the folder"
        else:
            held, advice = f"{there[0].name} and no report", "move what is in it"
        raise NotAReport(f"{target} holds {held}, and is left alone; {advice}, or choose another")
    below = place / KEPT
    if below.is_dir() and not below.is_symlink():
        there += below.iterdir()
    for path in there:
        name = path.relative_to(place).as_posix()
        kept = name == KEPT and path.is_dir() and not path.is_symlink()
        if name not in own and not kept and (name == KEPT or names.fullmatch(name)):
            raise NotAReport(
                f"{target / name} is in the way: no report wrote it, or it was changed since, and it is left alone; "
                "move it, or choose another folder"
            )
    return own


def _names() -> re.Pattern[str]:
    """Return what matches the path of every file that a report may have."""
    folders = (Path(each.__path__[0]) for each in (tables, pages))
    sources = (each.read_text(encoding="utf-8") for folder in folders for each in sorted(folder.glob("*.py")))
    files = [found[1] for each in sources if (found := _FILE.search(each))]  # without an import of any page
    return re.compile("|".join([*map(re.escape, [*files, ENVIRONMENT, manifest.FILE]), KEPT_FILES]))


def _fill(folder: Path, report: Report) -> None:
    from harness.report.report import STREAMED, modules

    rows = {}
    for name, maker in modules().items():
        of_table = report.elements() if name == STREAMED else report[name]
        rows[maker.FILE] = table.write(folder / maker.FILE, maker.COLUMNS, of_table)
    if report.kept:
        (folder / KEPT).mkdir()
    for kept in report.kept.values():
        _link(kept, folder / KEPT / kept.name)
    for page in writers():
        (folder / page.FILE).write_text(page.text(report), encoding="utf-8", errors=table.ODD)
    (folder / ENVIRONMENT).write_text(json.dumps(report.environment, indent=2) + "\n", encoding="utf-8")
    manifest.write(folder, rows)


def _link(there: Path, here: Path) -> None:
    """Link or copy a file to a second place; a link is enough, because nothing writes to the file again."""
    try:
        here.hardlink_to(there)
    except OSError:  # another file system, or one that has no links
        shutil.copyfile(there, here)
