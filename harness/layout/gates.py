"""The order of the gates' blocks in the columns; the canonical ones are i, f, g, o and r, z, n."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

Order = tuple[int, ...]
"""For each block in the new order, its position in the old order."""


def reordered(tensor: ndarray, order: Order | None) -> ndarray:
    """Return a tensor (…, G·H) with its G blocks of columns in another order; None keeps their order."""
    if order is None:
        return tensor
    blocks = np.split(tensor, len(order), axis=-1)  # (…, H) each
    return np.concatenate([blocks[k] for k in order], axis=-1)  # (…, G·H)


def back(order: Order | None) -> Order | None:
    """Return the order that undoes another."""
    return None if order is None else tuple(order.index(k) for k in range(len(order)))
