r"""The derivative of any function of arrays without a backward pass: complex perturbation, one number at a time.

For an analytic f and a tiny step h,

    f(q + ih) = f(q) + ih f'(q) − h² f''(q)/2 − …     hence     f'(q) = Im f(q + ih) / h

No difference is taken, so nothing cancels, and with h = 1e-100 the terms left out vanish to the last bit (Squire and
Trapp 1998, "Using complex variables to estimate derivatives of real functions"). The function is called once for every
number of every array, so this is for small examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy import ndarray

STEP = 1e-100


def by_complex_step(function: Callable[..., complex], given: Mapping[str, ndarray]) -> dict[str, ndarray]:
    """Differentiate a scalar function by every number of its arguments.

    Args:
        function: A function that takes the arrays of ``given`` by name, made complex, and returns a scalar. It must be
            analytic: no absolute value, no conjugate, comparisons of real parts alone.
        given: Arrays of real numbers, of any shape.

    Returns:
        The derivative by each array, of its shape, float64.

    Raises:
        TypeError: If the function returns a real number, which has no imaginary part.
    """
    moved = {name: np.array(array, np.complex128) for name, array in given.items()}
    found = {}
    for name, array in moved.items():
        found[name] = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            there = array[index]
            array[index] = there + 1j * STEP
            value = function(**moved)
            if not np.iscomplexobj(value):
                raise TypeError(f"the function returned a real number, {value!r}, when {name} was complex")
            found[name][index] = value.imag / STEP
            array[index] = there
    return found
