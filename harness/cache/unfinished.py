"""A run that has not come to its end: what was asked for, so that it can be gone on with.

What it had computed is among the answers; this is what it takes to ask for the same again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cache.store import key_of, place

FOLDER = "unfinished"


@dataclass(frozen=True)
class Unfinished:
    """A run that has begun.

    Attributes:
        asked: its options, by name, as JSON can hold them.
        started: when, in seconds of the epoch. Of one that went on with another, when the first did.
    """

    asked: Mapping[str, Any]
    started: float


def begin(target: Path, asked: Mapping[str, Any], started: float | None = None) -> Unfinished:
    """Remember that a run into a folder has begun. Where that cannot be written, it cannot be gone on with."""
    begun = Unfinished(asked, time.time() if started is None else started)
    path = _path(target)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".new")
        scratch.write_text(json.dumps({"asked": dict(asked), "started": begun.started}), encoding="utf-8")
        scratch.replace(path)
    return begun


def find(target: Path) -> Unfinished | None:
    """Return the run into a folder that did not come to its end; None if there is none."""
    try:
        content = json.loads(_path(target).read_text(encoding="utf-8"))
        return Unfinished(dict(content["asked"]), float(content["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def end(target: Path) -> None:
    """Forget the run into a folder: its report is there."""
    with suppress(OSError):
        _path(target).unlink()


def _path(target: Path) -> Path:
    return place() / FOLDER / f"{key_of(str(target.absolute()).encode())}.json"
