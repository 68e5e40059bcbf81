"""Read a file of any kind that a user named or that lies among case files."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path as FilePath

from harness.casefile.mistakes import Mistake, MistakesFound
from harness.casefile.odd import ODD_IN_A_NAME, visible
from harness.system import BINARY, NO_WAIT

MAX_BYTES = 16 * 2**20
"""Maximum size of a file."""

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def content(path: FilePath) -> bytes:
    """Read a regular file. Nothing else is opened: reading a pipe would wait, and reading a device may act on it.

    Raises:
        MistakesFound: If it is not a regular file, cannot be read, or is larger than a case file may be.
    """
    try:
        _check(path.stat().st_mode)
        descriptor = os.open(path, os.O_RDONLY | BINARY | NO_WAIT)
        with os.fdopen(descriptor, "rb") as file:
            _check(os.fstat(descriptor).st_mode)  # the path may lead to another file by now
            found = file.read(MAX_BYTES + 1)
    except _NoFile as error:
        problem, hint = f"is {error}, and no file", "a case file is a regular file of YAML; remove it, or rename it"
    except OSError as error:
        problem, hint = _why(path, error)
    else:
        if len(found) <= MAX_BYTES:
            return found
        problem = f"the file has more than {MAX_BYTES:,} bytes, which is the most that a case file may have"
        hint = "put large arrays into an .npz file: {file: x.npz, key: W}"
    raise MistakesFound([Mistake(visible(str(path), ODD_IN_A_NAME), None, None, (), problem, hint)])


class _NoFile(Exception):
    """A path does not lead to a regular file; the text names what is there."""


def _check(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise _NoFile(_KINDS.get(stat.S_IFMT(mode), "something else"))


def _why(path: FilePath, error: OSError) -> tuple[str, str]:
    """Return the reason why a file cannot be read, and a hint."""
    if error.errno == errno.ELOOP:
        return "is a link that leads back to itself", "remove the link"
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        target = visible(str(path.readlink()), ODD_IN_A_NAME)
        return f"is a link to {target}, which does not exist", "mend the link, or remove it"
    hint = "chmod u+r makes it readable" if isinstance(error, PermissionError) else ""
    return f"cannot be read: {error.strerror}", hint
