"""Notice an implementation whose answer the reference computes: the reference matches itself, whatever is wrong.

``harness.candidate.lookout`` says which calls are seen, in this process and in those that it starts, and which are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from harness.candidate import lookout
from harness.result.remark import Remark

KIND = "calls the reference"


@dataclass
class Borrowing:
    """The calls for an answer, in words; empty where there was none.

    Attributes:
        whole: the first that computes gradients.
        forward: the first that computes a forward pass alone.
        since: where the notes of other processes stood when this was made.
    """

    whole: str = ""
    forward: str = ""
    since: int = field(default_factory=lookout.length_of_notes)

    def note(self, kind: str, called: str) -> None:
        """Keep a call, unless there is an earlier one of its kind."""
        if kind == lookout.FORWARD:
            self.forward = self.forward or called
        else:
            self.whole = self.whole or called

    def remarks(self) -> Iterator[Remark]:
        """Say what was called, here or by a process that was started, and what a match is then worth."""
        for kind, called in lookout.noted_by_children(self.since):
            self.note(kind, called)
        if self.whole:
            yield Remark(KIND, f"it calls {self.whole}, so a match says nothing of its own backward pass")
        elif self.forward:
            yield Remark(
                KIND, f"it runs {self.forward} forward, so loss and outputs say nothing of its own forward pass"
            )


def watched(found: Borrowing) -> AbstractContextManager[None]:
    """Note the calls of this process for an answer."""
    return lookout.watched(found.note)
