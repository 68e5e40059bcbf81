"""Heatmaps: a small grid of a tensor's elements, or of the largest one of each block of a large tensor.

A tensor (…, M, N) is seen as (…·M, N): its last axis goes across, the others down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy import ndarray

from harness.markup.html import Html, element

MOST = 24
"""Maximum number of rows of a heatmap, and of columns."""

DECADES = 3.0
"""An element that is so many powers of ten below the largest has the lightest colour."""


def heatmap(
    title: str, shape: Sequence[int], values: ndarray, *, at: ndarray | None = None, gates: Sequence[str] = ()
) -> Html:
    """Return a heatmap.

    Args:
        title: The name of the tensor.
        shape: Its shape.
        values: Magnitudes, (S,): all of its elements, or those at ``at``, which are then marked as wrong.
        at: Positions of the values in the flattened tensor, (S,); None for all elements.
        gates: The names of the blocks of equal width in its last axis.
    """
    across = shape[-1] if shape else 1
    down = math.prod(shape[:-1])
    rows, columns = min(down, MOST), min(across, MOST)
    places = np.arange(down * across) if at is None else at
    sizes = np.nan_to_num(np.abs(np.asarray(values, np.float64)).reshape(-1), nan=np.inf, posinf=np.inf)
    grid = np.full((rows, columns), -1.0)
    np.maximum.at(grid, (places // across * rows // down, places % across * columns // across), sizes)
    shades = _shades(grid)
    names = gates if len(gates) <= columns else ()
    begins = [round(number * columns / len(names)) for number in range(len(names))] if names else []

    def of_gate(column: int) -> str:
        return "gate" if column in begins[1:] else ""

    def square(row: int, column: int) -> Html:
        there = grid[row, column] >= 0
        wrong = "off" if there and at is not None else ""
        shade = f"--s:{shades[row, column]:.2f}" if there else ""
        return element("td", class_=" ".join(filter(None, [wrong, of_gate(column)])), style=shade)

    widths = [end - begin for begin, end in pairwise([*begins, columns])]
    head = [
        element("th", name, colspan=width, class_=of_gate(begin))
        for name, width, begin in zip(names, widths, begins, strict=True)
    ]
    lines = [element("tr", *(square(row, column) for column in range(columns))) for row in range(rows)]
    squares = element("table", *([element("tr", *head)] if head else []), *lines)
    size = " × ".join(map(str, shape)) or "scalar"
    return element("figure", element("figcaption", f"{title}, {size}"), squares)


def _shades(grid: ndarray) -> ndarray:
    """Return how dark each square is, from 0 to 1: 1 for the largest one and for what is not finite."""
    finite = grid[np.isfinite(grid) & (grid > 0)]
    if not finite.size:
        return np.where(grid > 0, 1.0, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = np.log10(np.maximum(grid, 0) / finite.max())
    shades: ndarray = np.clip(1 + below / DECADES, 0, 1)
    return shades


def heatmaps(maps: Sequence[Html]) -> Html:
    """Return heatmaps side by side."""
    return element("div", *maps, class_="maps")
