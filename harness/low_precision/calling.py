"""An implementation that declares where it rounds, called on the problems of a check."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy import ndarray

from harness.candidate.trial import try_out
from harness.implementations import Implementation
from harness.low_precision.checking import Answer, LowPrecision, check
from harness.problem.recurrent import RecurrenceProblem
from harness.recurrences import Recurrence
from harness.result.returned import NotReadable


class NoAnswerError(AssertionError):
    """An implementation raised, or returned no arrays; the text has the problem and the reason."""


def called(implementation: Implementation) -> Answer:
    """Return a function from a problem to an implementation's tensors by name; it receives the numbers in float32."""

    def answer(problem: RecurrenceProblem) -> Mapping[str, ndarray]:
        try:
            found = try_out(implementation, problem.as_dtype(np.float32))
        except NotReadable as refused:
            raise NoAnswerError(f"{problem.case.name}: {implementation.name} {refused}") from None
        if found.result is None:
            raise NoAnswerError(f"{problem.case.name}: {implementation.name}: {found.reason}") from found.failure
        return found.result.tensors

    return answer


def checked(implementation: Implementation, recurrence: Recurrence) -> LowPrecision:
    """Check an implementation by the rounding that it declares.

    Args:
        implementation: the implementation, with ``rounds``.
        recurrence: its recurrence.

    Raises:
        NoAnswerError: if it raises, or returns no arrays.
    """
    return check(called(implementation), recurrence, implementation.rounds)
