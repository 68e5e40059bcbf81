"""Detection of an implementation that calls the reference: the reference matches itself, whatever is wrong.

``harness.candidate.lookout`` documents which calls are seen, in this process and in those that it starts.
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
        """Yield a remark on a call of the reference, here or in a started process, and its effect on a match."""
        for kind, called in lookout.noted_by_children(self.since):
            self.note(kind, called)
        if self.whole:
            yield Remark(KIND, f"it calls {self.whole}, so a match does not check its own backward pass")
        elif self.forward:
            yield Remark(KIND, f"it runs {self.forward} forward, so loss and outputs do not check its own forward pass")


def watched(found: Borrowing) -> AbstractContextManager[None]:
    """Note the calls of this process for an answer."""
    return lookout.watched(found.note)
