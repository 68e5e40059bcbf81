"""The exit statuses of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING

from harness import terminal

if TYPE_CHECKING:
    from harness.case import Loaded
    from harness.execution.session import Run


class Exit(IntEnum):
    """The exit status of the process."""

    AS_EXPECTED = 0
    MISMATCH = 1
    BAD_INPUT = terminal.BAD_INPUT
    IMPLEMENTATION_FAILED = 3
    NOT_INSTALLED = 4
    NOTHING_SELECTED = 5
    INTERNAL = terminal.INTERNAL
    INTERRUPTED = terminal.INTERRUPTED
    TERMINATED = terminal.TERMINATED


MEANINGS = {
    Exit.AS_EXPECTED: "every comparison came out as expected",
    Exit.MISMATCH: "a mismatch",
    Exit.BAD_INPUT: "bad input or usage, or a file that cannot be read or written",
    Exit.IMPLEMENTATION_FAILED: "an implementation failed",
    Exit.NOT_INSTALLED: "an implementation asked for by name is not installed",
    Exit.NOTHING_SELECTED: "nothing was selected",
    Exit.INTERNAL: "the harness itself failed",
    Exit.INTERRUPTED: "interrupted",
    Exit.TERMINATED: "terminated (SIGTERM)",
}


_GRAVEST_FIRST = (Exit.BAD_INPUT, Exit.IMPLEMENTATION_FAILED, Exit.MISMATCH, Exit.NOTHING_SELECTED, Exit.AS_EXPECTED)


def worst(statuses: Iterable[Exit]) -> Exit:
    """Return the status that stands for several inputs: that of the gravest one."""
    return min(statuses, key=_GRAVEST_FIRST.index)


def exit_status(run: Run, loaded: Loaded) -> Exit:
    """Return the exit status of a run over what was loaded."""
    if loaded.mistakes:
        return Exit.BAD_INPUT
    if run.failed_implementations:
        return Exit.IMPLEMENTATION_FAILED
    if run.surprises:
        return Exit.MISMATCH
    if not run.tensors_compared:
        return Exit.NOTHING_SELECTED
    return Exit.AS_EXPECTED
