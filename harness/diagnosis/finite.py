"""NaN and infinity: their places, and the numbers without them, which can still be explained."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy import ndarray

from harness.diagnosis.evidence import Evidence
from harness.diagnosis.explanation import NOT_FINITE, Diagnosis

MOST_TOLD = 3
"""Maximum of tensors that are reported with the number of their elements that are not finite."""


def not_finite(evidence: Evidence) -> dict[str, ndarray]:
    """Return the places of NaN and infinity in each tensor where another number belongs."""
    found = {name: evidence.wrong(name) & ~np.isfinite(evidence.actual[name]) for name in evidence.off}
    return {name: where for name, where in found.items() if where.any()}


def where_not_finite(actual: Mapping[str, ndarray], places: Mapping[str, ndarray]) -> Diagnosis:
    """Report the tensors with NaN or infinity, the number of such elements, and the first one."""
    texts = []
    for name, where in list(places.items())[:MOST_TOLD]:
        first = tuple(int(i) for i in np.argwhere(where)[0])
        values = actual[name][where]
        nan, infinite = int(np.isnan(values).sum()), int(np.isinf(values).sum())
        what = " and ".join(f"{word} in {count}" for word, count in (("NaN", nan), ("infinity", infinite)) if count)
        of = f"{where.size} element" + ("" if where.size == 1 else "s")
        at = f", first at {list(first)} (counted from 0)" if first else ""
        texts.append(f"{name} has {what} of {of}{at}")
    if others := list(places)[MOST_TOLD:]:
        texts.append(f"so have {', '.join(others)}" if len(others) > 1 else f"so has {others[0]}")
    text = f"{'; '.join(texts)}. These elements are not compared."
    return Diagnosis(NOT_FINITE, text, dict.fromkeys(places, math.nan))


def without(
    places: Mapping[str, ndarray], actual: Mapping[str, ndarray], known: Mapping[str, ndarray]
) -> tuple[dict[str, ndarray], dict[str, ndarray]]:
    """Return the tensors and their known elements as if the elements in some places had not been returned."""
    left = {name: known.get(name, np.ones(where.shape, bool)) & ~where for name, where in places.items()}
    kept = {name: array for name, array in actual.items() if name not in left or left[name].any()}
    return kept, {**known, **{name: where for name, where in left.items() if where.any()}}
