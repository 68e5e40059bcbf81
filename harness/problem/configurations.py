"""The problems that are made for a recurrence: configurations that wrong gradients have hidden behind.

Kernels shipped wrong gradients for years because their tests had one head, one batch, a length that was a multiple of
the chunk, ones for an upstream gradient, or no gradient by the last state. Here the sizes all differ, and each of these
is varied by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.case import Case
from harness.case.recurrent import Draw, case_of
from harness.recurrences import Recurrence

LONG = 33
"""Steps of the longest sequence: one more than the chunks of 16 and 32 that kernels work in."""


def configurations(recurrence: Recurrence) -> Iterator[Case]:
    """Yield the cases of a recurrence, the plainest first.

    Raises:
        DeclarationError: if a shape cannot be made.
        StepError: if the step does what a step may not.
    """
    ones = dict.fromkeys(recurrence.letters, 1)
    yield case_of(recurrence, Draw(), {})
    yield case_of(recurrence, Draw(dtype="float32", seed=1), {})
    yield case_of(recurrence, Draw(T=1, seed=2), {})
    yield case_of(recurrence, Draw(B=1, T=5, seed=3), {})
    yield case_of(recurrence, Draw(B=2, T=LONG, seed=4), {})
    yield case_of(recurrence, Draw(T=4, seed=5, upstream="last states alone"), {})
    yield case_of(recurrence, Draw(T=4, seed=6, upstream="outputs alone"), {})
    yield case_of(recurrence, Draw(T=4, seed=7, state="zeros"), {})
    yield case_of(recurrence, Draw(B=2, T=3, seed=8), ones)
    yield case_of(recurrence, Draw(T=5, seed=9, scale=6.0), {})
