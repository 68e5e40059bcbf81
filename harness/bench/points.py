"""The points of the grid: a cell, a dtype and four sizes, as a case that is no file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.case import Case, Loss, Sizes

CELLS = ("rnn", "gru", "lstm")
DTYPES = ("float32", "float64")

GRID = ((2, 10, 3, 5), (8, 50, 32, 64), (32, 100, 128, 256), (64, 200, 256, 512), (1, 2000, 64, 128))
"""B, T, I, H: from what a test uses to what fills two cores, and one long sequence, where calls are all that counts."""

QUICK = ((8, 50, 32, 64),)
"""What takes milliseconds, and not for the calls alone."""


@dataclass(frozen=True)
class Point:
    """One problem to be timed.

    Attributes:
        cell: rnn, gru (reset after the product, the only one that torch has) or lstm.
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
    def case(self) -> Case:
        """The case: one layer, weights as wide as frameworks' own, a fixed upstream gradient at every step."""
        width = 1 / math.sqrt(self.hidden)
        weights, inputs, upstream = ({"uniform": (-a, a), "seed": n} for n, a in enumerate((width, 1.0, 1.0)))
        return Case(
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
    """Return the points of the grid for these cells, in both dtypes; few and small ones if it is to be quick."""
    sizes = QUICK if quick else GRID
    return [Point(cell, dtype, *each) for each in sizes for cell in cells for dtype in DTYPES]
