"""The tolerance table, and the bound of one tensor that follows from it: the largest distance of two right answers.

Rounding errors of a gradient are in proportion to its tensor's largest element, not to each element: an element that is
small because larger terms cancelled has the errors of those terms. If a whole tensor is small for that reason, or if
the recurrence amplifies roundings, they are in proportion to the rounding noise, which
``harness.precision.rounding_noise`` measures. Hence the default bound is absolute,

    atol = units · max(eps · largest, noise),    rtol = 0

where eps is the dtype's machine epsilon and largest is the tensor's largest |expected|. The noise is the distance that
the tensor moves when every number is rounded once more. A tensor that loses more than half of its digits to the noise
is ill-conditioned: a comparison proves little about it, and the report marks it.

The table has the units by dtype and kind of tensor. They come from the errors over all cases, at most 30 times the
worst of them; ``make tolerances`` measures again and shows the headroom of each line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy import ndarray

from harness.case import tolerances
from harness.case.training import LOSS_CURVE, of_step
from harness.tensors import Shape, kind_of

UNITS: dict[str, dict[str, float]] = {
    #            kind of tensor      units
    "float64": {
        "loss": 16,
        "outputs": 16,
        "inputs": 16,
        "h0": 16,
        "c0": 16,
        "W_xh": 16,
        "W_hh": 16,
        "b_h": 16,
        "b_hn": 16,
        "W_hy": 16,
        "b_y": 16,
        "training.loss": 16,
        "trained": 16,
    },
    "float32": {
        "loss": 16,
        "outputs": 16,
        "inputs": 16,
        "h0": 16,
        "c0": 16,
        "W_xh": 16,
        "W_hh": 16,
        "b_h": 16,
        "b_hn": 16,
        "W_hy": 16,
        "b_y": 16,
        "training.loss": 16,
        "trained": 16,
    },
}

OTHER_UNITS = 16.0
"""Units for tensors that are not in the table."""

IN_CACHE = 2**16
"""Number of elements that stay in a core's cache between two passes over them."""

OF_THE_CASE = "the case's tolerance"
"""The beginning of a bound's origin if the case gives the bound."""

ILL_CONDITIONED = "ill-conditioned: rounding alone takes more than half of its digits"

TOO_SMALL = "too small to judge: zeros would match as well"


@dataclass(frozen=True)
class Bound:
    """|actual − expected| may be at most atol + rtol·|expected|.

    Attributes:
        rtol: Relative to each expected element.
        atol: Absolute.
        origin: The origin of the two, in words.
        ill_conditioned: True if rounding alone takes more than half of the tensor's digits.
        by_element: A bound for each element, absolute, of which ``atol`` is the largest; None if all share ``atol``.
    """

    rtol: float
    atol: float
    origin: str
    ill_conditioned: bool = False
    by_element: ndarray | None = None


def bound(
    tensor: str,
    expected: ndarray,
    override: Mapping[str, Any] | None = None,
    *,
    noise: float | ndarray | None = None,
    eps: float = 0.0,
) -> Bound:
    """Return the bound in force for one tensor.

    Args:
        tensor: The canonical name.
        expected: The baseline's values.
        override: A case's ``tolerance``: rtol and atol, or those by tensor with ``default`` for the rest.
        noise: The rounding noise of the tensor or of each of its elements, absolute; None if it is not known.
        eps: The machine epsilon of arithmetic that is coarser than the tensor's dtype; the bound grows with it.
    """
    if override is not None:
        if {"rtol", "atol"} & override.keys():
            return _given(override, OF_THE_CASE)
        for name in (tensor, "default"):
            if name in override:
                return _given(override[name], f"{OF_THE_CASE} of {name}")
    kind, dtype = kind_of(tensor), expected.dtype
    if dtype.kind != "f":
        return Bound(0.0, 0.0, f"exact, since {tensor} is {dtype}")
    dtype_name, own_eps, least = _floats_of(dtype)
    if eps > own_eps:
        return _coarser(bound(tensor, expected, noise=noise), eps / own_eps, eps)
    eps = own_eps
    units = UNITS.get(dtype_name, {}).get(kind, OTHER_UNITS)
    largest = largest_magnitude(expected)
    # If eps · largest underflows, neighbouring numbers must still match.
    from_largest = max(eps * largest, least) if largest else 0.0
    if isinstance(noise, ndarray):
        return _by_step(kind, expected, noise, units)
    from_noise = noise or 0.0
    table = f"{units:g} units for {kind} in {dtype_name}"
    if from_noise <= from_largest:
        return Bound(0.0, units * from_largest, f"{table}: eps x largest element {largest:.3g}")
    ill = from_noise > math.sqrt(eps) * largest
    return Bound(0.0, units * from_noise, f"{table}: rounding noise {from_noise:.3g}", ill_conditioned=ill)


def _coarser(bound: Bound, times: float, eps: float) -> Bound:
    """Return the bound for arithmetic with an eps ``times`` as large; to first order rounding is proportional to it."""
    by_element = None if bound.by_element is None else times * bound.by_element
    origin = f"{bound.origin}, {times:g} times that for products with eps {eps:.2g}"
    return replace(bound, atol=times * bound.atol, by_element=by_element, origin=origin)


@cache
def _floats_of(dtype: np.dtype[Any]) -> tuple[str, float, float]:
    """Return a float dtype's name, its eps and its smallest subnormal; cached, since every tensor needs them."""
    info = np.finfo(dtype)
    return dtype.name, float(info.eps), float(info.smallest_subnormal)


def noise_for(tensor: str, shape: Shape, noise: Mapping[str, float] | None) -> float | ndarray | None:
    """Return the noise of one tensor from that of all; for the loss curve, that of each step, of its shape."""
    if noise is None or tensor != LOSS_CURVE or of_step(0) not in noise or len(shape) != 1:
        return (noise or {}).get(tensor)
    return np.array([noise.get(of_step(s), noise[tensor]) for s in range(*shape)])


def _by_step(kind: str, curve: ndarray, noise: ndarray, units: float) -> Bound:
    """Return the bound of a curve, (steps,): each step has the bound of a tensor that ends with this step."""
    eps = float(np.finfo(curve.dtype).eps)
    finite = np.where(np.isfinite(curve), np.abs(curve.astype(np.float64)), 0)
    largest = np.maximum.accumulate(finite)  # (steps,)
    unit = np.maximum(eps * largest, noise)
    origin = f"{units:g} units for {kind} in {curve.dtype}: rounding noise {noise[0]:.3g} at the first step, "
    ill = bool((noise > math.sqrt(eps) * largest).any())
    atol = units * np.maximum(unit, float(np.finfo(curve.dtype).smallest_subnormal))
    return Bound(0.0, float(atol.max()), f"{origin}{noise[-1]:.3g} at the last", ill, atol)


def _given(override: Mapping[str, float], origin: str) -> Bound:
    for name, value in override.items():
        if problem := tolerances.of_number(value):  # a case that Python made came through no other door
            raise ValueError(f"{name} of {origin}: {problem}")
    return Bound(float(override.get("rtol", 0.0)), float(override.get("atol", 0.0)), origin)


def largest_magnitude(tensor: ndarray) -> float:
    """Return the largest finite |element|; 0 if there is none."""
    if tensor.size == 0:
        return 0.0
    pieces = [tensor]
    if tensor.size > IN_CACHE:  # the second pass over a piece finds it in the cache
        pieces = np.array_split(tensor, min(len(tensor), tensor.size // IN_CACHE))
    largest = float(np.max([(each.max(), -each.min()) for each in pieces])) + 0.0  # NaN stays, and -0 does not
    if np.isfinite(largest):
        return largest
    finite = tensor[np.isfinite(tensor)]
    return float(np.abs(finite).max(initial=0.0))
