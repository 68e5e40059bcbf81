"""The derivative of any function, from its values alone: by complex step where it takes complex numbers, else Ridders'.

Central differences of ever smaller steps are extrapolated to step 0. The error of each is the distance from its
neighbours, and the noise of the function's values over the step; the one with the least error is taken. The noise is
measured: what is left of values a few units in the last place apart once a line through them is taken away.

Ridders 1982, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in Engineering Software 4(2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy import ndarray

Function = Callable[[Mapping[str, ndarray]], float | complex]
"""Maps arrays by name to a loss."""

SHRINK = 1.6
"""Factor between one step of a difference and the next."""

STEPS = 12
"""Differences that are extrapolated."""

NEARBY = 4
"""Places on either side of a point at which the noise of a function is measured."""

AMPLIFIED = 4.0
"""Maximum factor by which extrapolation amplifies the noise of a difference."""

SAFETY = 4.0
"""Factor of the error that the table shows, since it is an estimate."""

IMAGINARY = 1e-60
"""The imaginary step: far below any digit of a float32 or float64."""


def noise_of(function: Function, arrays: Mapping[str, ndarray], name: str) -> float:
    """Return how far rounding moves a loss from a smooth function of one array, absolute."""
    array = arrays[name]
    u = float(np.finfo(array.dtype).eps)
    at = int(np.argmax(np.abs(array)))
    base = float(array.reshape(-1)[at])
    places, values = [], []
    for k in range(-NEARBY, NEARBY + 1):
        moved = {key: each.copy() for key, each in arrays.items()}
        moved[name].reshape(-1)[at] = base + 4 * k * u * max(abs(base), 1e-3)
        places.append(float(moved[name].reshape(-1)[at]) - base)
        values.append(float(np.real(function(moved))))
    x, y = np.array(places), np.array(values)
    slope = float((x * (y - y.mean())).sum() / max((x * x).sum(), 1e-300))
    return max(float(np.abs(y - y.mean() - slope * x).max()), u * abs(float(y.mean())))


def by_differences(
    function: Function, arrays: Mapping[str, ndarray], name: str, at: int, noise: float
) -> tuple[float, float]:
    """Return the derivative by one element, and how far it may be off, absolute.

    Args:
        function: maps arrays by name to a loss.
        arrays: the point.
        name: of the array.
        at: the position of the element in the flattened array.
        noise: of the loss, as ``noise_of`` returns it.
    """
    scale = max(abs(float(arrays[name].reshape(-1)[at])), 0.1)
    best, error = float("nan"), float("inf")
    above: list[float] = []
    for i in range(STEPS):
        step = 0.3 * scale / SHRINK**i
        row = [_difference(function, arrays, name, at, step)]
        for j, other in enumerate(above):
            factor = SHRINK ** (2 * (j + 1))
            row.append((factor * row[j] - other) / (factor - 1))
            apart = max(abs(row[-1] - row[j]), abs(row[-1] - other)) + AMPLIFIED * noise / step
            if apart < error:
                best, error = row[-1], apart
        above = row
    return best, SAFETY * error


def by_complex_step(function: Function, arrays: Mapping[str, ndarray], name: str, at: int) -> float | None:
    """Return the derivative by one element; None if the function does not take complex numbers through to its loss."""
    moved = {key: array.astype(np.complex128) for key, array in arrays.items()}
    moved[name].reshape(-1)[at] += 1j * IMAGINARY
    try:
        with np.errstate(all="ignore"):
            loss = np.asarray(function(moved))
    except Exception:  # a function that knows real numbers alone may raise anything
        return None
    return float(loss.imag) / IMAGINARY if np.iscomplexobj(loss) and loss.shape == () else None


def _difference(function: Function, arrays: Mapping[str, ndarray], name: str, at: int, step: float) -> float:
    values, places = [], []
    for sign in (1, -1):
        moved = {key: array.copy() for key, array in arrays.items()}
        flat = moved[name].reshape(-1)
        flat[at] += sign * step
        places.append(float(flat[at]))
        with np.errstate(all="ignore"):
            values.append(float(np.real(function(moved))))
    return (values[0] - values[1]) / (places[0] - places[1])
