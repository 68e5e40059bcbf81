"""Zip archives of tensors: the files of torch, Keras and NumPy. They are checked before anything is unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.checkpoint.base import CheckpointRefused, refusing

ENCRYPTED = 0x1
"""The bit of an encrypted member among its flags."""

MOST_MEMBERS = 100_000
"""Maximum of members, more than the tensors of any model."""


@contextmanager
def archive(path: Path, format_name: str) -> Iterator[zipfile.ZipFile]:
    """Open an archive.

    Raises:
        CheckpointRefused: if the file is no archive, if it is encrypted, or if its use fails.
    """
    with refusing(format_name), zipfile.ZipFile(path) as opened:
        members = opened.infolist()
        if len(members) > MOST_MEMBERS:
            raise CheckpointRefused(f"has {len(members):,} members; {format_name} has at most {MOST_MEMBERS:,}")
        names = {member.filename for member in members}
        if len(names) != len(members):
            doubled = next(each for each in names if sum(member.filename == each for member in members) > 1)
            raise CheckpointRefused(f"has two members called {doubled}, and readers differ in which they take")
        for member in members:
            if member.flag_bits & ENCRYPTED:
                raise CheckpointRefused(f"is encrypted ({member.filename}); {format_name} never is", "decrypt it first")
        yield opened


def as_it_is(opened: zipfile.ZipFile, member: str, most: int | None = None) -> bytes:
    """Return the bytes of an uncompressed member, which is no larger than the file.

    Args:
        opened: the archive.
        member: its name.
        most: the maximum number of bytes.

    Raises:
        CheckpointRefused: if it is missing, compressed, or larger.
    """
    try:
        found = opened.getinfo(member)
    except KeyError:
        raise CheckpointRefused(f"has no {member}, so it is not a whole file of its kind") from None
    if found.compress_type != zipfile.ZIP_STORED or found.file_size != found.compress_size:
        raise CheckpointRefused(f"has {member} compressed, which its framework never does")
    if most is not None and found.file_size > most:
        raise CheckpointRefused(f"has {member} of {found.file_size:,} bytes; at most {most:,} are read")
    return opened.read(found)
