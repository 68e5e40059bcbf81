"""Digests of arrays, computed once for each read-only array: all questions about a problem have the same ones."""

from __future__ import annotations

import hashlib
import weakref

import numpy as np
from numpy import ndarray

_known: dict[int, tuple[weakref.ref[ndarray], bytes]] = {}
"""By identity, as long as the array lives."""


def digest_of(array: ndarray) -> bytes:
    """Return the digest of an array's bytes in C order; of nothing else, not even its shape."""
    number = id(array)
    known = _known.get(number)
    if known is not None and known[0]() is array and not array.flags.writeable:
        return known[1]
    contiguous = np.asarray(array, order="C").reshape(-1).view(np.uint8)
    # Processors have instructions for this digest.
    found = hashlib.sha256(contiguous.data if contiguous.size else b"").digest()
    if array.flags.owndata and not array.flags.writeable:
        _known[number] = weakref.ref(array, lambda _: _known.pop(number, None)), found
    return found
