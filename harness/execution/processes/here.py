"""Questions answered in this process, for a recurrence that no other process has: that of a notebook, or a test."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.execution.processes.answering import answered
from harness.execution.processes.asking import Asking
from harness.execution.processes.transport import Message
from harness.implementations import Framework
from harness.recurrences import Recurrence


def answered_here(header: Mapping[str, object], arrays: Mapping[str, ndarray]) -> Message:
    """Return the answer of NumPy's reference to a question, computed in this process."""
    with np.errstate(all="ignore"):  # a number that is not finite is judged, and not warned of
        found, its = answered(Message(header, arrays))
    return Message({"said": "", **found}, its)


class Here(Asking):
    """Answers questions in this process.

    Args:
        recurrence: the recurrence with its step in this process.
    """

    def __init__(self, recurrence: Recurrence) -> None:
        self._known = MappingProxyType({recurrence.name: recurrence})

    @override
    def ask(self, framework: Framework, header: Mapping[str, object], arrays: Mapping[str, ndarray]) -> Message:
        """Answer a question; the framework, if it is one, is imported into this process."""
        found, its = answered(Message(header, arrays), self._known)
        return Message({"said": "", **found}, its)
