"""The exchange of one report for another, which leaves everything else in the folder alone."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from harness.report import manifest
from harness.report.scratch import stays
from harness.system import exchanged


def take_place(new: Path, target: Path, own: Collection[str]) -> None:
    """Put the report in ``new`` into ``target``, in place of the one that is there.

    At every moment one of the two is there, whole, if the folder holds nothing but its report. Where the system cannot
    exchange two folders at once, the target is missing for the moment between two renamings. A folder that holds other
    files, or must stay where it is, has its report's files replaced one by one; in that moment it cannot be read.

    Args:
        new: a folder with a whole report; gone or without it afterwards.
        target: where it goes; resolved.
        own: the paths below the target of the files that belong to its report.
    """
    if not target.exists():
        new.rename(target)
    elif stays(target) or _holds_others(target, own):
        _replace_files(new, target, own)
    else:
        if not exchanged(new, target):
            old = new.with_name("old")
            target.rename(old)
            new.rename(target)
            new = old
        _remove(new, own)
        for path in manifest.files_below(new):  # came while the report was written
            _move(new / path, target / path)


def _holds_others(folder: Path, own: Collection[str]) -> bool:
    """Return whether anything stands in a folder beside the files of its report, if only an empty folder."""
    ours = {Path(path) for path in own}
    ours |= {parent for path in ours for parent in path.parents}
    return any(path.relative_to(folder) not in ours for path in folder.rglob("*"))


def _replace_files(new: Path, target: Path, own: Collection[str]) -> None:
    manifest.write_both(target, new, own, new.parent)
    placed = [path for path in manifest.files_below(new) if path != manifest.FILE]
    for path in placed:
        _move(new / path, target / path)
    _remove(target, {*own} - {*placed, manifest.FILE})
    _move(new / manifest.FILE, target / manifest.FILE)


def _move(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    file.replace(to)


def _remove(folder: Path, paths: Collection[str]) -> None:
    for path in paths:
        (folder / path).unlink(missing_ok=True)
    for below in {(folder / path).parent for path in paths} - {folder}:
        with suppress(OSError):  # something else is in it
            below.rmdir()
