"""The memory of the arrays that a candidate receives: in order, or as views with strides.

A kernel that reads an array's buffer as if its elements lay in order is right on arrays in order alone. Frameworks hand
over others all the time: batches that are stored time first, slices, and what NumPy reversed.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy import ndarray


def strided(array: ndarray) -> ndarray:
    """Return a view with equal elements: the second axis first in memory, every other element, the first axis back.

    The elements between have numbers of the same array. Torch has no negative strides, so that no axis goes back once
    it is imported.
    """
    if array.ndim == 0:
        return array.copy()
    order = (1, 0, *range(2, array.ndim)) if array.ndim > 1 else (0,)
    backwards = slice(None, None, 1 if "torch" in sys.modules else -1)
    moved = array.transpose(order)[backwards]
    held = np.empty((*moved.shape, 2), array.dtype)
    held[..., 0], held[..., 1] = moved, np.flip(moved)
    return held[..., 0][backwards].transpose(order)
