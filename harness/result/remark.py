"""Remarks: properties of an implementation that a report shows before its numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remark:
    """A remark about an implementation.

    Attributes:
        kind: The kind of the remark; remarks of one kind on several cases are reported as one.
        text: The observation, with tensor, index and values, in one line.
    """

    kind: str
    text: str
