"""Gradients that were clipped on the way: right gradients, cut off or scaled down before they were returned.

Clipping belongs between the gradient and the optimizer. What is compared here is the gradient, so one that was clipped
is a mismatch, and that it was is the first thing to say of it. Recognised are

    by value    np.clip(g, −c, c): in a tensor, several elements are ±c exactly, the true ones there have the same sign,
                are larger, and are not all the same, and all other elements are right; or, should the gradients be
                wrong before they are clipped, many elements but not all are ±c, of both signs, and c is a round number
    by norm     g · c / ‖g‖: all tensors that disagree are the true ones times one factor below 1, and their common
                norm is a round number
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy import ndarray

from harness.result.remark import Remark

FEWEST = 2
"""Different true values, all cut to one, that are no coincidence. (Equal ones come of equal inputs.)"""

MANY = 4
"""Elements of one tensor at a bound that is a round number."""

CLOSE = 1e-4
"""How near, relative, numbers must be to count as one factor, or as round."""


def clipped(actual: Mapping[str, ndarray], expected: Mapping[str, ndarray]) -> Iterator[Remark]:
    """Say whether gradients look clipped.

    Args:
        actual: an implementation's gradients.
        expected: the true ones.
    """
    pairs = {
        name: (actual[name].astype(np.float64), truth.astype(np.float64))
        for name, truth in expected.items()
        if name in actual and actual[name].shape == truth.shape and actual[name].size
    }
    pairs = {name: (a, e) for name, (a, e) in pairs.items() if np.isfinite(a).all() and np.isfinite(e).all()}
    yield from _by_value(pairs)
    yield from _by_norm(pairs)


def _by_value(pairs: Mapping[str, tuple[ndarray, ndarray]]) -> Iterator[Remark]:
    tensors: dict[float, list[str]] = {}
    cut: dict[float, list[float]] = {}
    for name, (a, e) in pairs.items():
        bound = float(np.abs(a).max())
        at_bound = np.abs(a) == bound
        larger = (np.abs(e) > bound * (1 + CLOSE)) & (np.sign(e) == np.sign(a))
        right = np.abs(a - e) <= CLOSE * bound
        # Copies of one number are all of one sign.
        both_signs = len(np.unique(np.sign(a[at_bound]))) > 1
        exact = larger[at_bound].all() and right[~at_bound].all() and (both_signs or not at_bound.all())
        is_round = MANY <= at_bound.sum() < a.size and np.isclose(bound, float(f"{bound:.2g}"), rtol=1e-7, atol=0)
        if bound and (exact or (is_round and both_signs)):
            tensors.setdefault(bound, []).append(name)
            cut.setdefault(bound, []).extend(np.abs(e[at_bound]).tolist())
    for bound, names in tensors.items():
        if len({f"{each:.4g}" for each in cut[bound]}) >= FEWEST:
            where = f"{len(cut[bound])} elements of {', '.join(names)} are exactly ±{bound:.7g}"
            yield Remark(
                "clipped by value",
                f"gradients look clipped: {where}, none there is larger, and the true ones differ; "
                "return gradients as they are, and clip them where they are used",
            )


def _by_norm(pairs: Mapping[str, tuple[ndarray, ndarray]]) -> Iterator[Remark]:
    scaled = {}
    for name, (a, e) in pairs.items():
        norm = float(np.linalg.norm(e))
        factor = float((a * e).sum()) / norm**2 if norm else 0.0
        if norm and 0 < factor < 1 - CLOSE and float(np.linalg.norm(a - factor * e)) <= CLOSE * factor * norm:
            scaled[name] = factor
    factors = list(scaled.values())
    if not factors or max(factors) > min(factors) * (1 + CLOSE):
        return
    norm = float(np.sqrt(sum((pairs[name][0] ** 2).sum() for name in scaled)))
    rounded = float(f"{norm:.2g}")
    if len(scaled) > 1 and abs(norm - rounded) <= CLOSE / 10 * rounded:
        yield Remark(
            "clipped by norm",
            f"gradients look clipped: {', '.join(scaled)} are the true ones times {factors[0]:.4g}, "
            f"and their norm together is {rounded:g}; return gradients as they are, and clip them where they are used",
        )
