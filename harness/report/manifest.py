"""The manifest of a report: the rows of each table, and the files that are the report's own, with their digests.

A report may take the place of files that a manifest lists and that still have the bytes that it lists. Every other
file in the folder is somebody else's.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

FILE = "manifest.json"
FORMAT = 2
"""The format of the tables. A report of another format is not read."""

_DIGEST = "sha256"
_MAX_BYTES = 2**24
"""Maximum size of a manifest that is looked into."""


class NotAReport(ValueError):
    """A folder is no report, or none that can be read or replaced; the text says why and what to do."""


def write(folder: Path, rows: Mapping[str, int]) -> None:
    """Write the manifest of a folder that holds a whole report and nothing else.

    Args:
        folder: the report.
        rows: the number of rows of each table, by its file.
    """
    files = {path: digest_of(folder / path) for path in files_below(folder)}
    _put(folder, {"format": FORMAT, "rows": dict(rows), "files": files})


def write_both(folder: Path, new: Path, own: Collection[str]) -> None:
    """Write the manifest of a folder in which the files of one report take the place of another's, one by one.

    It lists the files of both and has no rows, so that the folder is not read as a report, and the next report may
    replace all of them, if this process ends before they are in place.

    Args:
        folder: the folder in which that happens.
        new: the folder of the report that takes the place.
        own: the report's own files in ``folder``.
    """
    files: dict[str, list[str]] = {path: [digest_of(folder / path)] for path in own if path != FILE}
    for path in files_below(new):
        if path != FILE:
            files.setdefault(path, []).append(digest_of(new / path))
    _put(folder, {"format": FORMAT, "files": files})


def _put(folder: Path, content: Mapping[str, Any]) -> None:
    beside = folder / f".{FILE}.new"
    beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    beside.replace(folder / FILE)


def own_files(folder: Path, names: re.Pattern[str]) -> frozenset[str] | None:
    """Return the paths below a folder of the files that belong to the report in it, its manifest among them.

    Args:
        folder: any folder.
        names: matches the paths that a report's files have. A manifest may list others, and has no say over them.

    Returns:
        The listed files that still have their listed bytes; None if there is no manifest that lists files.
    """
    try:
        path = folder / FILE
        if path.is_symlink() or path.stat().st_size > _MAX_BYTES:
            return None
        listed = json.loads(path.read_text(encoding="utf-8"))["files"].items()
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return frozenset(
        [FILE, *(path for path, digests in listed if names.fullmatch(path) and _is_as_listed(folder, path, digests))]
    )


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
