"""The operations of a tape on arrays of balls: intervals with proven error bounds, of any precision.

A ball [m ± r] encloses every number within r of m, and each operation encloses all results that its operands allow
(Johansson 2017, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic"). So a value or a gradient
that comes out of these operations is proven to its radius. Each slope is the derivative in closed form, in balls too.

An array of balls is a NumPy array of objects, each a ``flint.arb``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb, arb_mat
from numpy import ndarray

from harness.derive.operations import Einsum, padded, unbroadcast

ZERO = arb(0)

OPPOSITES: dict[np.ufunc, np.ufunc] = {
    np.greater: np.less_equal,
    np.greater_equal: np.less,
    np.less: np.greater_equal,
    np.less_equal: np.greater,
    np.equal: np.not_equal,
    np.not_equal: np.equal,
}
"""For each comparison the one that holds where it does not."""


class UndecidedError(ArithmeticError):
    """Balls overlap, so at this precision a comparison of them holds for some of their numbers and not for others."""


def to_balls(array: Any) -> ndarray:
    """Return an array of numbers as exact balls, of the same shape."""
    given = np.asarray(array)
    balls = np.empty(given.size, dtype=object)
    balls[:] = [arb(each) for each in given.reshape(-1).tolist()]
    return balls.reshape(given.shape)


def compared(comparison: np.ufunc, a: ndarray, b: ndarray | arb) -> ndarray:
    """Return whether a comparison of balls holds, for each element.

    Raises:
        UndecidedError: If it does not hold for all numbers in two balls, and its opposite does not either.
    """
    holds, fails = (np.asarray(each(a, b)).astype(bool) for each in (comparison, OPPOSITES[comparison]))
    if not (holds | fails).all():
        raise UndecidedError
    return holds


Times = Callable[..., Any]
"""A function from an array, a function's value and its operands to the array times the slope by one operand."""


@dataclass(frozen=True, eq=False)
class Pointwise:
    """A function of each element.

    Attributes:
        name: The name that messages show.
        value: The function of arrays of balls.
        times: For each operand, the product of an array with the slope.
    """

    name: str
    value: Callable[..., Any]
    times: Sequence[Times]

    def apply(self, values: Sequence[ndarray], leads: Sequence[bool]) -> ndarray:
        """Return the function of the values, with no axis in front."""
        del leads
        return np.asarray(self.value(*values), object)

    def push(self, values: Sequence[ndarray], k: int, tangent: ndarray) -> ndarray:
        """Return the change times the slope."""
        value = self.apply(values, ())
        return np.asarray(self.times[k](padded(tangent, value.ndim), value, *values), object)

    def pull(self, values: Sequence[ndarray], k: int, g: ndarray) -> ndarray:
        """Return the gradient times the slope, summed where the operand was broadcast."""
        return self.pull_from(self.apply(values, ()), values, k, g)

    def pull_from(self, value: ndarray, values: Sequence[ndarray], k: int, g: ndarray) -> ndarray:
        """Return the same, from a value that is already known."""
        return unbroadcast(np.asarray(self.times[k](g, value, *values), object), values[k].shape, 0)


def _sigmoid(a: Any) -> Any:
    return np.asarray(_SIGMOID(a), object)


def _sigmoid_of(a: arb) -> arb:
    if a.mid() < 0:  # either form holds for every a; the exponential of this one is small
        return (e := a.exp()) / (1 + e)
    return 1 / (1 + (-a).exp())


def _softplus_of(a: arb) -> arb:
    return a.exp().log1p() if a.mid() < 0 else a + (-a).exp().log1p()


_SIGMOID, _SOFTPLUS = np.frompyfunc(_sigmoid_of, 1, 1), np.frompyfunc(_softplus_of, 1, 1)


def chosen(at: ndarray, name: str = "where") -> Pointwise:
    """Return the choice of the first operand where ``at`` is true, and of the second elsewhere."""
    return Pointwise(
        name,
        lambda a, b: np.where(at, a, b),
        (lambda g, *_: np.where(at, g, ZERO), lambda g, *_: np.where(at, ZERO, g)),
    )


def power(exponent: int) -> Pointwise:
    """Return the power with a whole exponent."""

    def times(g: ndarray, _: ndarray, a: ndarray) -> Any:
        return g * (exponent * a ** (exponent - 1)) if exponent else ZERO * g

    return Pointwise("power", lambda a: a**exponent, (times,))


FUNCTIONS: dict[str, Pointwise] = {
    each.name: each
    for each in (
        Pointwise("add", np.add, (lambda g, *_: g, lambda g, *_: g)),
        Pointwise("subtract", np.subtract, (lambda g, *_: g, lambda g, *_: -g)),
        Pointwise("multiply", np.multiply, (lambda g, _, _a, b: g * b, lambda g, _, a, *_others: g * a)),
        Pointwise("divide", np.divide, (lambda g, _, _a, b: g / b, lambda g, v, _a, b: -g * v / b)),
        Pointwise("negative", np.negative, (lambda g, *_: -g,)),
        Pointwise("positive", np.positive, (lambda g, *_: g,)),
        Pointwise("exp", np.exp, (lambda g, v, *_: g * v,)),
        Pointwise("log", np.log, (lambda g, _, a: g / a,)),
        Pointwise("log1p", np.log1p, (lambda g, _, a: g / (1 + a),)),
        Pointwise("expm1", np.expm1, (lambda g, _, a: g * np.exp(a),)),
        Pointwise("tanh", np.tanh, (lambda g, v, *_: g * (1 - v * v),)),
        Pointwise("sqrt", np.sqrt, (lambda g, v, *_: g / (2 * v),)),
        Pointwise("sin", np.sin, (lambda g, _, a: g * np.cos(a),)),
        Pointwise("cos", np.cos, (lambda g, _, a: -g * np.sin(a),)),
        Pointwise("sigmoid", _sigmoid, (lambda g, v, *_: g * (v * (1 - v)),)),
        Pointwise("softplus", _SOFTPLUS, (lambda g, _, a: g * _sigmoid(a),)),
    )
}
"""Every smooth function that a tape records, by its name."""


def _relu(a: ndarray) -> Pointwise:
    at = compared(np.greater, a, ZERO)
    return Pointwise("relu", lambda a: np.where(at, a, ZERO), (lambda g, *_: np.where(at, g, ZERO),))


def _abs(a: ndarray) -> Pointwise:
    at = compared(np.less, a, ZERO)
    return Pointwise("abs", lambda a: np.where(at, -a, a), (lambda g, *_: np.where(at, -g, g),))


DECIDED: dict[str, Callable[..., Pointwise]] = {
    "relu": _relu,
    "abs": _abs,
    "maximum": lambda a, b: chosen(compared(np.greater_equal, a, b), "maximum"),
    "minimum": lambda a, b: chosen(compared(np.less_equal, a, b), "minimum"),
}
"""Every function with a kink, by its name, once it is decided for its operands on which side they are.

At a kink itself, the slopes are those of the namespace on NumPy: 0 of relu, 1 of abs, and the first of two equals.
"""


@dataclass(frozen=True, eq=False)
class Products(Einsum):
    """A sum of products, computed in matrices of balls."""

    def contracted(self, spec: str, values: Sequence[ndarray]) -> ndarray:
        """Return the sum of products, one operand after the other."""
        given, output = spec.split("->")
        first, *others = given.split(",")
        letters, value = first, values[0]
        for n, (other, array) in enumerate(zip(others, values[1:], strict=True)):
            letters, value = _product(letters, value, other, array, set(output).union(*others[n + 1 :]))
        letters, value = _summed(letters, value, set(output))
        return value.transpose([letters.index(each) for each in output])


def _summed(letters: str, array: ndarray, kept: set[str]) -> tuple[str, ndarray]:
    axes = tuple(i for i, letter in enumerate(letters) if letter not in kept)
    return "".join(each for each in letters if each in kept), np.asarray(
        array.sum(axis=axes), object
    ) if axes else array


def _product(a: str, left: ndarray, b: str, right: ndarray, kept: set[str]) -> tuple[str, ndarray]:
    """Return the letters and the product of two arrays, summed over the letters that are not kept."""
    a, left = _summed(a, left, kept | set(b))
    b, right = _summed(b, right, kept | set(a))
    shared = [each for each in a if each in b]
    stack, inner = [each for each in shared if each in kept], [each for each in shared if each not in kept]
    rows, columns = [each for each in a if each not in b], [each for each in b if each not in a]
    sizes = {**dict(zip(a, left.shape, strict=True)), **dict(zip(b, right.shape, strict=True))}
    N, R, K, C = (int(np.prod([sizes[each] for each in part], dtype=int)) for part in (stack, rows, inner, columns))
    left = left.transpose([a.index(each) for each in (*stack, *rows, *inner)]).reshape(N, R, K)
    right = right.transpose([b.index(each) for each in (*stack, *inner, *columns)]).reshape(N, K, C)
    if K == 1:
        found = left * right  # (N, R, C)
    else:
        found = np.empty(N * R * C, object)
        found[:] = [
            ball
            for one, other in zip(left.reshape(N, -1).tolist(), right.reshape(N, -1).tolist(), strict=True)
            for ball in (arb_mat(R, K, one) * arb_mat(K, C, other)).entries()
        ]
    letters = (*stack, *rows, *columns)
    return "".join(letters), found.reshape([sizes[each] for each in letters])
