"""The points of the grid: a cell, a dtype and four sizes, as a case without a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.case import Loss, Sizes, ValidCase

CELLS = ("rnn", "gru", "lstm")
DTYPES = ("float32", "float64")

GRID = ((2, 10, 3, 5), (8, 50, 32, 64), (32, 100, 128, 256), (64, 200, 256, 512), (1, 2000, 64, 128))
"""B, T, I, H: from the size of a test to one that fills two cores, and a long sequence, where calls dominate."""

QUICK = ((8, 50, 32, 64),)
"""B, T, I, H that take milliseconds, of which calls are only a part."""


@dataclass(frozen=True)
class Point:
    """One problem to be timed.

    Attributes:
        cell: rnn, lstm, or gru with the reset after the product, the only gru in torch.
        dtype: float32 or float64.
        batch, time, input, hidden: B, T, I, H.
    """

    cell: str
    dtype: str
    batch: int
    time: int
    input: int
    hidden: int

    def __str__(self) -> str:
        return f"{self.cell} {self.dtype} B={self.batch} T={self.time} I={self.input} H={self.hidden}"

    @property
    def case(self) -> ValidCase:
        """Return the case: one layer, weights of the usual size, a fixed upstream gradient at every step."""
        width = 1 / math.sqrt(self.hidden)
        weights, inputs, upstream = ({"uniform": (-a, a), "seed": n} for n, a in enumerate((width, 1.0, 1.0)))
        return ValidCase(
            name=str(self),
            file="none",
            about="A point of the speed tables.",
            cell=self.cell,  # type: ignore[arg-type]
            dtype=self.dtype,  # type: ignore[arg-type]
            sizes=Sizes(batch=self.batch, time=self.time, input=self.input, hidden=self.hidden),
            weights=weights,
            inputs=inputs,
            initial_state=inputs,
            loss=Loss(kind="dot"),
            upstream=upstream,
        )


def grid(cells: Sequence[str], *, quick: bool = False) -> list[Point]:
    """Return the points of the grid for these cells, in both dtypes; a few small points if ``quick``."""
    sizes = QUICK if quick else GRID
    return [Point(cell, dtype, *each) for each in sizes for cell in cells for dtype in DTYPES]
