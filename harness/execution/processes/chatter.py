"""The prints of a process: read from a pipe as it comes, and the end of it kept.

So a process never waits for a reader, prints as much as it likes, and fills neither a disk nor the memory.
"""

from __future__ import annotations

import os

from harness.system import waiting
from harness.terminal.text import fit

MOST_CHATTER = 2**20
"""Bytes of what a process printed that are kept, the last ones."""

LONGEST_LINE = 4_000
"""Characters of one line that are kept."""


class Chatter:
    """The end of what a process prints.

    Args:
        pipe: the descriptor to read it from, of a pipe or a file; the caller closes it.

    Attributes:
        open: whether a process can still print.
    """

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self.open = True
        self._kept = bytearray()
        self._printed = 0
        self._heard = 0

    def take(self, most: int = MOST_CHATTER) -> int:
        """Read once from the pipe, which must have something or be closed; return how many bytes that were."""
        taken = os.read(self.pipe, most)
        self.open = bool(taken)
        self._printed += len(taken)
        self._kept += taken
        if len(self._kept) > 2 * MOST_CHATTER:
            del self._kept[:-MOST_CHATTER]
        return len(taken)

    def news(self) -> str:
        """Return what was printed since this was last called; say how much of it is not kept."""
        self._catch_up()
        new = self._printed - self._heard
        self._heard = self._printed
        kept = min(new, MOST_CHATTER)
        lost = f"... {new - kept:,} bytes that were printed before this are left out\n" if new > kept else ""
        return lost + self._last(kept)

    def end(self, lines: int) -> str:
        """Return the last lines that were printed, heard before or not."""
        self._catch_up()
        return "\n".join(self._last(MOST_CHATTER).splitlines()[-lines:])

    def _catch_up(self) -> None:
        """Read what is in the pipe now, and not what is printed meanwhile, to which there may be no end."""
        left = waiting(self.pipe)
        while left > 0:
            left -= self.take(left)

    def _last(self, count: int) -> str:
        text = self._kept[len(self._kept) - min(count, len(self._kept)) :].decode(errors="replace")
        return "".join(fit(each, LONGEST_LINE) for each in text.splitlines(keepends=True))
