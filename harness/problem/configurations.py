"""The problems of a recurrence: configurations that have hidden wrong gradients in the past.

Kernels shipped wrong gradients for years because their tests had one head, one batch, a length that was a multiple of
the chunk, ones as the upstream gradient, no gradient by the last state, or every optional array. Here all sizes differ,
and each of these properties is varied by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.case import ValidCase
from harness.case.recurrent import Draw, case_of
from harness.casefile import listed
from harness.recurrences import Recurrence

LONG = 65
"""Steps of the longest sequence: one more than the kernels' chunks of 16, 32 and 64."""

WIDE = 65
"""The large size, which each letter has in turn: one more than the kernels' tiles of 16, 32 and 64."""

SATURATED = 20.0
"""Factor of the inputs that drives gates to 0 and 1, and a step size beyond 20, where kernels take another branch."""


def configurations(recurrence: Recurrence) -> Iterator[ValidCase]:
    """Yield the cases of a recurrence; the simplest comes first.

    Raises:
        DeclarationError: If a shape cannot be made.
        StepError: If the step does something that a step may not do.
    """
    for about, draw, sizes, said in _described(recurrence):
        yield case_of(recurrence, draw, sizes, about=about, **said)


def _described(recurrence: Recurrence) -> Iterator[tuple[str, Draw, dict[str, int], dict[str, str]]]:
    """Yield for each case the reason why it is there, its draw, its sizes, and other fields."""
    letters = recurrence.letters
    yield "Sizes that all differ, and every upstream gradient random.", Draw(), {}, {}
    yield "The same in float32.", Draw(dtype="float32", seed=1), {}, {}
    yield "One step.", Draw(T=1, seed=2), {}, {}
    yield "One sequence.", Draw(B=1, T=5, seed=3), {}, {}
    yield "One step more than a chunk of 64.", Draw(B=2, T=LONG, seed=4), {}, {}
    yield "The loss is of the last states alone.", Draw(T=4, seed=5, upstream="last states alone"), {}, {}
    yield "The loss is of the outputs alone.", Draw(T=4, seed=6, upstream="outputs alone"), {}, {}
    yield "The first state is zero.", Draw(T=4, seed=7, state="zeros"), {}, {}
    yield "Every size of the shapes is 1.", Draw(B=2, T=3, seed=8), dict.fromkeys(letters, 1), {}
    yield "Large inputs, which saturate gates.", Draw(T=5, seed=9, scale=SATURATED), {}, {}
    views = "Every array is a view that is not contiguous: code that reads its buffer in order reads other numbers."
    yield views, Draw(B=2, T=4, seed=12), {}, {"memory": "strided"}
    left_out = [(name,) for name in recurrence.optional]
    for absent in [*left_out, recurrence.optional] if len(left_out) > 1 else left_out:
        yield f"Without {listed(absent)}, which may be absent.", Draw(B=2, T=4, seed=11, absent=absent), {}, {}
    for letter in letters:
        yield f"{letter} is one more than a tile of 64.", Draw(B=2, T=3, seed=10), {letter: WIDE}, {}
