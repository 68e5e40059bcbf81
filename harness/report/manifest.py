"""The manifest of a report: the rows of each table, and the files that are the report's own, with their digests.

A report may replace files that a manifest lists and that still have the listed bytes. Every other file in the folder
belongs to the user.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from harness.terminal import Refused

FILE = "manifest.json"
FORMAT = 2
"""The format of the tables. A report of another format is not read."""

_DIGEST = "sha256"
_MAX_BYTES = 2**24
"""Maximum size of a manifest that is read."""


class NotAReport(Refused):
    """A folder is not a report, or cannot be read or replaced; the text states the reason and what to do."""


def write(folder: Path, rows: Mapping[str, int]) -> None:
    """Write the manifest of a folder that holds a whole report and nothing else.

    Args:
        folder: the report.
        rows: the number of rows of each table, by its file.
    """
    files = {path: digest_of(folder / path) for path in files_below(folder)}
    _write(folder / FILE, {"format": FORMAT, "rows": dict(rows), "files": files})


def write_both(folder: Path, new: Path, own: Collection[str], beside: Path) -> None:
    """Write the manifest of a folder in which the files of one report take the place of another's, one by one.

    It lists the files of both and has no rows, so that the folder is not read as a report, and the next report may
    replace all of them, if this process ends before they are in place.

    Args:
        folder: the folder in which that happens.
        new: the folder of the report that takes the place.
        own: the report's own files in ``folder``.
        beside: a folder on the same file system, in which the manifest is written before it is put in place.
    """
    files: dict[str, list[str]] = {path: [digest_of(folder / path)] for path in own if path != FILE}
    for path in files_below(new):
        if path != FILE:
            files.setdefault(path, []).append(digest_of(new / path))
    put_list(folder / FILE, files, beside)


def put_list(manifest: Path, files: Mapping[str, list[str]], beside: Path) -> None:
    """Put a manifest in place that lists files, each with the digests that it may have, and no rows.

    Args:
        manifest: the manifest.
        files: the files, by their paths below the manifest's folder.
        beside: a folder on the same file system, in which the manifest is written before it is put in place.
    """
    _write(beside / manifest.name, {"format": FORMAT, "files": dict(files)})
    (beside / manifest.name).replace(manifest)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def own_files(folder: Path, names: re.Pattern[str], manifest: str = FILE) -> frozenset[str] | None:
    """Return the paths below a folder of the files that belong to the report in it, its manifest among them.

    Args:
        folder: any folder.
        names: matches the paths that a report's files have. A manifest may list others, and has no say over them.
        manifest: the name of the manifest in the folder.

    Returns:
        The listed files that still have their listed bytes; None if there is no manifest that lists files.

    Raises:
        OSError: if the manifest cannot be read.
    """
    path = folder / manifest
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MAX_BYTES:
        return None
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["files"].items()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    own = (path for path, digests in listed if names.fullmatch(path) and _is_as_listed(folder, path, digests))
    return frozenset([manifest, *own])


def _is_as_listed(folder: Path, path: str, digests: Any) -> bool:
    file = folder / path
    if not file.is_file() or any(each.is_symlink() for each in (file, *file.parents) if each.is_relative_to(folder)):
        return False
    return digest_of(file) in (digests if isinstance(digests, list) else [digests])


def files_below(folder: Path) -> list[str]:
    """Return the paths of all files below a folder, relative to it."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def digest_of(file: Path) -> str:
    """Return the digest of a file's bytes."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, _DIGEST).hexdigest()
