"""The operations of a tape on arrays of balls: intervals with proven error bounds, of any precision.

A ball [m ± r] encloses every number within r of m, and each operation encloses all results that its operands allow
(Johansson 2017, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic"). So a value or a gradient
that comes out of these operations is proven to its radius. Each slope is the derivative in closed form, in balls too.

An array of balls is a NumPy array of objects, each a ``flint.arb``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
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


Matrices = dict[tuple[tuple[int, ...], tuple[int, ...]], list[arb_mat]]
"""The matrices of an array, by the order of its axes and the shape that they have."""


@dataclass(frozen=True, eq=False)
class Products(Einsum):
    """A sum of products, computed in matrices of balls.

    Attributes:
        kept: By the identity of an array that many products share, its matrices.
    """

    kept: Mapping[int, Matrices] = field(default_factory=dict)

    def contracted(self, spec: str, values: Sequence[ndarray]) -> ndarray:
        """Return the sum of products, one operand after the other."""
        given, output = spec.split("->")
        letters, *others = given.split(",")
        value = values[0]
        for n, (other, array) in enumerate(zip(others, values[1:], strict=True)):
            letters, value = self._product((letters, value), (other, array), {*output}.union(*others[n + 1 :]))
        letters, value = _summed(letters, value, set(output))
        return value.transpose([letters.index(each) for each in output])

    def pulled_together(self, calls: Sequence[tuple[Sequence[ndarray], ndarray]], k: int) -> ndarray:
        """Return the sum of the gradients of operand k in several products, each with its operands and its gradient."""
        others = [j for j in range(len(self.inputs)) if j != k]
        if len(calls) == 1 or not set(self.inputs[k]) <= set(self.output).union(*(self.inputs[j] for j in others)):
            return np.asarray(sum(self.pull(values, k, g) for values, g in calls), object)
        call = self._unused
        spec = ",".join(call + each for each in (self.output, *(self.inputs[j] for j in others)))
        stacked = [np.stack([g for _, g in calls]), *(np.stack([values[j] for values, _ in calls]) for j in others)]
        return self.contracted(f"{spec}->{self.inputs[k]}", stacked)

    def _product(self, one: tuple[str, ndarray], other: tuple[str, ndarray], kept: set[str]) -> tuple[str, ndarray]:
        """Return the letters and the product of two arrays, summed over the letters that are not kept."""
        a, left = _summed(*one, kept | set(other[0]))
        b, right = _summed(*other, kept | set(a))
        stack, inner = [e for e in a if e in b and e in kept], [e for e in a if e in b and e not in kept]
        rows, columns = [e for e in a if e not in b], [e for e in b if e not in a]
        sizes = dict(zip(a + b, left.shape + right.shape, strict=True))
        N, R, K, C = (prod(sizes[each] for each in part) for part in (stack, rows, inner, columns))
        of_left = tuple(a.index(each) for each in (*stack, *rows, *inner))
        of_right = tuple(b.index(each) for each in (*stack, *inner, *columns))
        if K == 1:
            found = left.transpose(of_left).reshape(N, R, 1) * right.transpose(of_right).reshape(N, 1, C)
        else:
            pairs = zip(
                self._matrices(left, of_left, (N, R, K)), self._matrices(right, of_right, (N, K, C)), strict=True
            )
            found = np.empty(N * R * C, object)
            found[:] = [ball for one_matrix, other_matrix in pairs for ball in (one_matrix * other_matrix).entries()]
        letters = stack + rows + columns
        return "".join(letters), found.reshape([sizes[each] for each in letters])

    def _matrices(self, array: ndarray, axes: tuple[int, ...], shape: tuple[int, ...]) -> list[arb_mat]:
        known = self.kept.get(id(array), {})
        if (axes, shape) not in known:
            flat = array.transpose(axes).reshape(shape[0], -1)
            known[axes, shape] = [arb_mat(*shape[1:], each) for each in flat.tolist()]
        return known[axes, shape]


class Owed:
    """Gradients of one array by several products, which are added up at once: ``numpy.asarray`` does that.

    Args:
        products: A product by its letters and the position of the array.
        calls: For each product its calls, each with the operands and the gradient of the value.
        rest: The other gradients of the array.
    """

    __array_ufunc__ = None  # an array to which this is added leaves the sum to this

    def __init__(
        self,
        products: Mapping[Any, tuple[Products, int]],
        calls: Mapping[Any, list[tuple[Sequence[ndarray], ndarray]]],
        rest: Any = ZERO,
    ) -> None:
        self._products, self._calls, self._rest = products, calls, rest

    @classmethod
    def by(cls, product: Products, values: Sequence[ndarray], k: int, g: ndarray) -> Owed:
        """Return the gradient of operand k of a product."""
        key = (product.inputs, product.output, k)
        return cls({key: (product, k)}, {key: [(values, g)]})

    def __add__(self, other: Any) -> Owed:
        if not isinstance(other, Owed):
            return Owed(self._products, self._calls, self._rest + other)
        calls = {key: self._calls.get(key, []) + other._calls.get(key, []) for key in {**self._calls, **other._calls}}
        return Owed({**self._products, **other._products}, calls, self._rest + other._rest)

    __radd__ = __add__

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray:
        del dtype, copy
        found = [product.pulled_together(self._calls[key], k) for key, (product, k) in self._products.items()]
        return np.asarray(sum(found, self._rest), object)


def _summed(letters: str, array: ndarray, kept: set[str]) -> tuple[str, ndarray]:
    axes = tuple(i for i, letter in enumerate(letters) if letter not in kept)
    total = np.asarray(array.sum(axis=axes), object) if axes else array
    return "".join(each for each in letters if each in kept), total
