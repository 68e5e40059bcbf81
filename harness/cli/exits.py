"""The exit statuses of the command line."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the process's exit status says."""

    AS_EXPECTED = 0
    MISMATCH = 1
    BAD_INPUT = 2
    IMPLEMENTATION_FAILED = 3
    NOT_INSTALLED = 4
    NOTHING_SELECTED = 5
    INTERRUPTED = 130
