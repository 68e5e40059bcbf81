"""Zip archives that hold tensors: torch's, Keras' and NumPy's files are such. Looked at before anything is unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.checkpoint.base import CheckpointRefused, told

ENCRYPTED = 0x1
"""The bit among a member's flags that says so."""

MOST_MEMBERS = 100_000
"""More than any model has tensors."""


@contextmanager
def archive(path: Path, format_name: str) -> Iterator[zipfile.ZipFile]:
    """Open an archive.

    Raises:
        CheckpointRefused: if it is none, if it is encrypted, or if what is done with it fails.
    """
    with told(format_name), zipfile.ZipFile(path) as opened:
        members = opened.infolist()
        if len(members) > MOST_MEMBERS:
            raise CheckpointRefused(f"has {len(members):,} members; {format_name} has at most {MOST_MEMBERS:,}")
        names = {member.filename for member in members}
        if len(names) != len(members):
            doubled = next(each for each in names if sum(member.filename == each for member in members) > 1)
            raise CheckpointRefused(f"has two members called {doubled}, and readers differ in which they take")
        for member in members:
            if member.flag_bits & ENCRYPTED:
                raise CheckpointRefused(
                    f"is encrypted ({member.filename}); {format_name} never is", "decrypt it, and give what comes out"
                )
        yield opened


def as_it_is(opened: zipfile.ZipFile, member: str, most: int | None = None) -> bytes:
    """Return the bytes of a member that is not compressed, so that it is no larger than the file.

    Args:
        opened: the archive.
        member: its name.
        most: how many bytes it may have.

    Raises:
        CheckpointRefused: if it is not there, compressed, or larger.
    """
    try:
        found = opened.getinfo(member)
    except KeyError:
        raise CheckpointRefused(f"has no {member}, so it is no whole file of its kind") from None
    if found.compress_type != zipfile.ZIP_STORED or found.file_size != found.compress_size:
        raise CheckpointRefused(f"has {member} compressed, which its framework never does")
    if most is not None and found.file_size > most:
        raise CheckpointRefused(f"has {member} of {found.file_size:,} bytes; at most {most:,} are looked at")
    return opened.read(found)
