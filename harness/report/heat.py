"""Heatmaps: a small grid of a tensor's elements, or of the worst element of each block of a large tensor.

A tensor (…, M, N) is seen as (…·M, N): its last axis goes across, the others down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy import ndarray

MOST_ROWS = 24
MOST_COLUMNS = 24


@dataclass(frozen=True, eq=False)
class Heat:
    """A grid of elements, row by row.

    Attributes:
        rows, columns: its size.
        index: of each element in the tensor.
        actual, expected: the two values.
        allowed: the bound there, absolute.
    """

    rows: int
    columns: int
    index: list[tuple[int, ...]]
    actual: ndarray
    expected: ndarray
    allowed: ndarray

    def __len__(self) -> int:
        return self.rows * self.columns

    def plain(self) -> dict[str, Any]:
        """Return it for JSON; floats as the shortest texts that distinguish them from their neighbours."""
        return {
            "rows": self.rows,
            "columns": self.columns,
            "index": [list(each) for each in self.index],
            "actual": list(map(str, self.actual)),
            "expected": list(map(str, self.expected)),
            "allowed": [f"{each:.4g}" for each in self.allowed],
        }


def heat(actual: ndarray, expected: ndarray, rtol: float, atol: float) -> Heat:
    """Return the heatmap of a tensor.

    Args:
        actual: the values in question, at least one.
        expected: what they should be, of the same shape.
        rtol: the bound's part relative to each expected element.
        atol: the bound's absolute part.
    """
    shape = actual.shape
    columns = shape[-1] if shape else 1
    a, e = (each.reshape(-1, columns) for each in (actual, expected))  # (rows, columns)
    with np.errstate(all="ignore"):
        allowed = atol + rtol * np.abs(e.astype(np.float64))  # (rows, columns)
        ratio = np.abs(a.astype(np.float64) - e) / allowed  # (rows, columns)
    same = (a == e) | (np.isnan(a) & np.isnan(e))  # (rows, columns)
    badness = np.where(same, -1.0, np.where(np.isnan(ratio), np.inf, ratio))  # (rows, columns)
    across, down = (_cuts(size, most) for size, most in ((columns, MOST_COLUMNS), (len(a), MOST_ROWS)))
    at = [
        _worst(badness, top, bottom, left, right) for top, bottom in pairwise(down) for left, right in pairwise(across)
    ]
    i, j = (np.array(each) for each in zip(*at, strict=True))
    index = [tuple(int(k) for k in np.unravel_index(p, shape)) if shape else () for p in i * columns + j]
    return Heat(len(down) - 1, len(across) - 1, index, a[i, j], e[i, j], allowed[i, j])


def _cuts(size: int, most: int) -> list[int]:
    """Cut ``size`` into blocks as equal as can be, at most ``most`` of them; return where they begin, and the end."""
    blocks = min(size, most)
    return [math.ceil(k * size / blocks) for k in range(blocks + 1)]


def _worst(badness: ndarray, top: int, bottom: int, left: int, right: int) -> tuple[int, int]:
    block = badness[top:bottom, left:right]
    i, j = divmod(int(block.argmax()), block.shape[1])
    return top + i, left + j
