"""How far two right answers may be apart: the tolerance table, and the bound that follows from it for one tensor.

Rounding errors of a gradient are in proportion to its tensor's largest element, not to each element: an element that is
small because larger terms cancelled carries the errors of those terms. Hence the default bound is absolute,

    atol = units · eps · scale,    rtol = 0

with eps the dtype's machine epsilon and scale the largest |expected| of the tensor. The units stand in one table, by
dtype and kind of tensor. They are set from the errors measured over all cases, at most 30 times the worst of them:
``make tolerances`` measures again and shows the headroom of each line.

The loss is a sum whose terms may cancel, so its scale is what its terms amount to: |loss| + Σ |d_outputs · outputs|, its
first-order change when every output changes by its own size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from harness.tensors import kind_of

UNITS: dict[str, dict[str, float]] = {
    #            kind of tensor      units of eps · scale
    "float64": {
        "loss": 16,
        "outputs": 16,
        "inputs": 16,
        "h0": 16,
        "W_xh": 16,
        "W_hh": 16,
        "b_h": 16,
        "W_hy": 16,
        "b_y": 16,
    },
    "float32": {
        "loss": 16,
        "outputs": 16,
        "inputs": 16,
        "h0": 16,
        "W_xh": 16,
        "W_hh": 16,
        "b_h": 16,
        "W_hy": 16,
        "b_y": 16,
    },
}

OTHER_UNITS = 16.0
"""For tensors that are not in the table."""


@dataclass(frozen=True)
class Bound:
    """|actual − expected| may be at most atol + rtol·|expected|.

    Attributes:
        rtol: relative to each expected element.
        atol: absolute.
        origin: where the two come from, in words.
    """

    rtol: float
    atol: float
    origin: str


def bound(
    tensor: str, expected: ndarray, override: Mapping[str, Any] | None = None, *, scale: float | None = None
) -> Bound:
    """Return the bound in force for one tensor.

    Args:
        tensor: its canonical name.
        expected: the baseline's values.
        override: a case's ``tolerance``: rtol and atol, or those by tensor with ``default`` for the rest.
        scale: what the default is relative to, if not the largest |expected|.
    """
    if override is not None:
        if {"rtol", "atol"} & override.keys():
            return _given(override, "the case's tolerance")
        for name in (tensor, "default"):
            if name in override:
                return _given(override[name], f"the case's tolerance of {name}")
    if scale is None:
        scale = largest_magnitude(expected)
    dtype = expected.dtype
    units = UNITS.get(dtype.name, {}).get(kind_of(tensor), OTHER_UNITS)
    kind = kind_of(tensor)
    return Bound(0.0, units * float(np.finfo(dtype).eps) * scale, f"default for {kind} in {dtype}: {units:g} eps x {scale:.3g}")


def _given(override: Mapping[str, float], origin: str) -> Bound:
    return Bound(float(override.get("rtol", 0.0)), float(override.get("atol", 0.0)), origin)


def largest_magnitude(tensor: ndarray) -> float:
    """Return the largest finite |element|; 0 if there is none."""
    if tensor.size == 0:
        return 0.0
    largest = max(float(tensor.max()), -float(tensor.min()))
    if np.isfinite(largest):
        return largest
    finite = tensor[np.isfinite(tensor)]
    return float(np.abs(finite).max(initial=0.0))


def loss_scale(loss: ndarray, outputs: ndarray, d_outputs: ndarray) -> float:
    """Return |loss| + Σ |d_outputs · outputs|, what the loss's default tolerance is relative to."""
    with np.errstate(all="ignore"):
        total = float(np.abs(loss)) + float(np.abs(d_outputs.astype(np.float64) * outputs).sum())
    return total if np.isfinite(total) else largest_magnitude(loss)
