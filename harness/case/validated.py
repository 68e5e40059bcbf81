"""Cases that were validated before, kept as plain data: a file that has not changed needs no validator.

Kept is the file of a network's case whose text alone decides what it means: one that names no other file and no
implementation. The key holds the text, the names, the source of the harness and the memory of the machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from harness.case.fields import ValidCase
from harness.execution.cache import Store, place, stamp_of_sources
from harness.execution.cache.store import key_of

MOST_BYTES = 2**16
"""Maximum size of a file whose cases are kept."""


def store() -> Store:
    """Return where cases are kept: with the answers to questions about them."""
    return _at(place())


@cache
def _at(folder: Path) -> Store:
    return Store(folder)


def key(text: bytes, name: str, path: str) -> str:
    """Return the key of a case file; empty if it is not kept.

    Args:
        text: its content.
        name: the name of its case.
        path: the file as the user named it.
    """
    if len(text) > MOST_BYTES:
        return ""
    of_file = json.dumps([name, path]).encode()
    return key_of(b"cases", of_file, stamp_of_sources().encode(), _memory().encode(), text)


def recalled(key: str) -> list[ValidCase] | None:
    """Return the cases of a file that was validated before; None if it was not."""
    found = store().get(key) if key else None
    return None if found is None else [ValidCase.from_plain(each) for each in json.loads(bytes(found))]


def keep(key: str, data: Mapping[str, Any], cases: Sequence[ValidCase]) -> None:
    """Keep the valid cases of a file, if its text alone decides what they are.

    Args:
        key: what ``key`` returned.
        data: the data of the file.
        cases: all of its cases.
    """
    if not key or _reads_more(data) or any(each.implementations or each.recurrence for each in cases):
        return
    text = json.dumps([each.to_plain() for each in cases])
    if [ValidCase.from_plain(each) for each in json.loads(text)] == list(cases):
        store().put(key, [text.encode()])


def _reads_more(data: Any) -> bool:
    """Return whether data names a file, somewhere in it."""
    if isinstance(data, Mapping):
        return bool({"file", "checkpoint"} & data.keys()) or any(map(_reads_more, data.values()))
    return isinstance(data, list) and any(map(_reads_more, data))


def _memory() -> str:
    """Return how much memory there is, in pages, which decides whether a case is too large; empty if unknown."""
    try:
        return str(os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return ""
