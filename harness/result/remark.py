"""Something about how an implementation behaves that is to be known before its numbers are looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """One thing noticed.

    Attributes:
        kind: what sort of thing; remarks of one kind on several cases are told as one.
        text: what was noticed, with tensor, index and values, in one line.
    """

    kind: str
    text: str
