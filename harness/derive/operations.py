"""The operations that a tape records: the value of each, and the gradient that it contributes to an operand.

Arrays may have one more axis in front than the recorded operands, with one entry for each of R directions or rules;
``leads`` marks these arrays. So many directions, or many gradients, go through an operation in one call.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy import ndarray

STEPS = {np.dtype(np.float32): 1e-20, np.dtype(np.float64): 1e-100, np.dtype(np.longdouble): 1e-100}
"""The imaginary step of a slope, by dtype: far above the least number, far below any digit."""

SIGNS: dict[Callable[..., ndarray], tuple[int, ...]] = {
    np.add: (1, 1),
    np.subtract: (1, -1),
    np.negative: (-1,),
    np.positive: (1,),
}
"""The functions that add up their operands, each with the operands' signs."""

SMALL = 10**4
"""Maximum of multiplications for which NumPy's own loop is faster than a search for BLAS."""


class Operation(Protocol):
    """An operation of a step, on arrays."""

    @property
    def name(self) -> str:
        """The name that messages show."""

    def apply(self, values: Sequence[ndarray], leads: Sequence[bool]) -> ndarray:
        """Return the operation's value, (R, …) if any operand leads."""

    def push(self, values: Sequence[ndarray], k: int, tangent: ndarray) -> ndarray:
        """Return the change of the value, (R, …), for a change of operand k, (R, …)."""

    def pull(self, values: Sequence[ndarray], k: int, g: ndarray) -> ndarray:
        """Return the gradient of operand k, (R, …) or (…), for the gradient of the value, (R, …) or (…)."""


@dataclass(frozen=True, eq=False)
class Elementwise:
    """A function of each element.

    Attributes:
        function: a function from arrays, real or complex, to an array; holomorphic wherever it is smooth.
        slope: for one operand, the function that replaces its derivative in the backward pass; None for the derivative.
    """

    function: Callable[..., ndarray]
    slope: Callable[[ndarray], ndarray] | None = None

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.function, "__name__", "function").strip("_")

    def apply(self, values: Sequence[ndarray], leads: Sequence[bool]) -> ndarray:
        """Return the function of the values."""
        n = max(value.ndim - lead for value, lead in zip(values, leads, strict=True))
        given = [padded(value, n) if lead else value for value, lead in zip(values, leads, strict=True)]
        if self.slope is not None and np.iscomplexobj(given[0]):  # a declared slope is no derivative of the function
            real = given[0].real
            return np.asarray(self.function(real) + 1j * (self.slope(real) * given[0].imag))
        return np.asarray(self.function(*given))

    def push(self, values: Sequence[ndarray], k: int, tangent: ndarray) -> ndarray:
        """Return the change times the slope."""
        n = max(value.ndim for value in values)
        return padded(tangent, n) * self.slope_by(values, k)

    def pull(self, values: Sequence[ndarray], k: int, g: ndarray) -> ndarray:
        """Return the gradient times the slope, summed where the operand was broadcast."""
        lead = g.ndim - max(value.ndim for value in values)
        return unbroadcast(g * self.slope_by(values, k), values[k].shape, lead)

    def slope_by(self, values: Sequence[ndarray], k: int) -> ndarray:
        """Return the derivative by operand k at each element: by complex step, which underflows below 1e-208.

        A sum or a product is linear in each operand, so that its derivative needs no step.
        """
        if self.slope is not None:
            return self.slope(values[k])
        if self.function is np.multiply or self.function in SIGNS:
            by = values[1 - k] if self.function is np.multiply else values[k].dtype.type(SIGNS[self.function][k])
            return np.broadcast_to(by, np.broadcast_shapes(*(value.shape for value in values)))
        h = STEPS[values[k].dtype]
        arguments = [value + 1j * values[k].dtype.type(h) if j == k else value for j, value in enumerate(values)]
        return np.asarray(np.imag(self.function(*arguments)) / values[k].dtype.type(h))


@dataclass(frozen=True, eq=False)
class Einsum:
    """A sum of products, ``matmul`` among them.

    Attributes:
        inputs: the letters of each operand; no letter twice in one.
        output: the letters of the value.
    """

    inputs: tuple[str, ...]
    output: str
    name: str = "einsum"

    def apply(self, values: Sequence[ndarray], leads: Sequence[bool]) -> ndarray:
        """Return the sum of products."""
        if not any(leads):
            return self.contracted(",".join(self.inputs) + "->" + self.output, values)
        lead = self._unused
        inputs = [lead + each if leading else each for each, leading in zip(self.inputs, leads, strict=True)]
        return self.contracted(",".join(inputs) + "->" + lead + self.output, values)

    def contracted(self, spec: str, values: Sequence[ndarray]) -> ndarray:
        """Return a sum of products, whose letters ``spec`` has."""
        work = max((value.size for value in values), default=1) ** 1.5
        return np.asarray(np.einsum(spec, *values, optimize=work > SMALL))

    def push(self, values: Sequence[ndarray], k: int, tangent: ndarray) -> ndarray:
        """Return the sum of products with the change in place of operand k."""
        replaced = [tangent if j == k else value for j, value in enumerate(values)]
        return self.apply(replaced, [j == k for j in range(len(values))])

    def pull(self, values: Sequence[ndarray], k: int, g: ndarray) -> ndarray:
        """Return the sum of products of the gradient with the other operands."""
        lead = self._unused if g.ndim > len(self.output) else ""
        others = [j for j in range(len(values)) if j != k]
        there = set(self.output).union(*(self.inputs[j] for j in others))
        kept = "".join(each for each in self.inputs[k] if each in there)
        spec = ",".join([lead + self.output, *(self.inputs[j] for j in others)]) + "->" + lead + kept
        found = self.contracted(spec, [g, *(values[j] for j in others)])
        # An axis of this operand alone was summed over, so each of its elements has the same gradient.
        for axis, letter in enumerate(self.inputs[k]):
            if letter not in there:
                found = np.expand_dims(found, axis + len(lead))
        return np.broadcast_to(found, (*g.shape[: len(lead)], *values[k].shape))

    @property
    def _unused(self) -> str:
        return next(letter for letter in string.ascii_letters if letter not in "".join(self.inputs) + self.output)


@dataclass(frozen=True, eq=False)
class Gather:
    """Elements of the operands in other places: an index, a reshape, a concatenation.

    Attributes:
        places: of the value's shape: for each element its position among all operands' elements, one after another.
        once: whether no position occurs twice.
        name: the name that messages show.
    """

    places: ndarray
    once: bool
    name: str

    def apply(self, values: Sequence[ndarray], leads: Sequence[bool]) -> ndarray:
        """Return the elements in their new places."""
        if not any(leads):
            return np.asarray(np.concatenate([value.reshape(-1) for value in values])[self.places])
        R = next(len(value) for value, lead in zip(values, leads, strict=True) if lead)
        flat = [
            value.reshape(R, -1) if lead else np.broadcast_to(value.reshape(1, -1), (R, value.size))
            for value, lead in zip(values, leads, strict=True)
        ]
        return np.asarray(np.concatenate(flat, 1)[:, self.places])

    def push(self, values: Sequence[ndarray], k: int, tangent: ndarray) -> ndarray:
        """Return the change in its new places, zero elsewhere."""
        replaced = [tangent if j == k else np.zeros_like(value) for j, value in enumerate(values)]
        return self.apply(replaced, [j == k for j in range(len(values))])

    def pull(self, values: Sequence[ndarray], k: int, g: ndarray) -> ndarray:
        """Return the gradient in the original places of its elements."""
        start = sum(value.size for value in values[:k])
        lead = g.shape[: g.ndim - self.places.ndim]
        found = np.zeros((*lead, sum(value.size for value in values)), g.dtype)
        if self.once:
            found[..., self.places] = g
        else:
            np.add.at(found.reshape(-1, found.shape[-1]).T, self.places.reshape(-1), g.reshape(-1, self.places.size).T)
        return found[..., start : start + values[k].size].reshape(*lead, *values[k].shape)


@dataclass(frozen=True, eq=False)
class Sum:
    """The sum over axes, or the mean.

    Attributes:
        axes: negative, so that an axis in front changes nothing.
        keepdims: whether the axes stay, of length 1.
        terms: the divisor of the sum: 1, or for a mean the number of terms.
    """

    axes: tuple[int, ...]
    keepdims: bool
    terms: int
    name: str

    def apply(self, values: Sequence[ndarray], leads: Sequence[bool]) -> ndarray:
        """Return the sum or mean."""
        del leads
        total = values[0].sum(axis=self.axes, keepdims=self.keepdims)
        return np.asarray(total if self.terms == 1 else total / self.terms)

    def push(self, values: Sequence[ndarray], k: int, tangent: ndarray) -> ndarray:
        """Return the sum or mean of the change."""
        del values, k
        return self.apply([tangent], [True])

    def pull(self, values: Sequence[ndarray], k: int, g: ndarray) -> ndarray:
        """Return the gradient for each term."""
        shape = values[k].shape
        lead = g.shape[: g.ndim - len(shape) + (0 if self.keepdims else len(self.axes))]
        widened = g if self.keepdims else np.expand_dims(g, self.axes)
        return np.broadcast_to(widened if self.terms == 1 else widened / self.terms, (*lead, *shape))


@dataclass(frozen=True, eq=False)
class Carry:
    """A state carried from one step to the next, as an operation of its own, so that its gradient can be examined."""

    name: str = "carry"

    def apply(self, values: Sequence[ndarray], leads: Sequence[bool]) -> ndarray:
        """Return the state."""
        del leads
        return values[0]

    def push(self, values: Sequence[ndarray], k: int, tangent: ndarray) -> ndarray:
        """Return the change."""
        del values, k
        return tangent

    def pull(self, values: Sequence[ndarray], k: int, g: ndarray) -> ndarray:
        """Return the gradient."""
        del values, k
        return g


@dataclass(frozen=True)
class Clipped:
    """The slope of a function of each element, limited.

    Attributes:
        function: the function, real or complex.
        limit: the largest absolute slope.
    """

    function: Callable[..., ndarray]
    limit: float

    def __call__(self, a: ndarray) -> ndarray:
        """Return the limited slope at each element."""
        return np.clip(Elementwise(self.function).slope_by([a], 0), -self.limit, self.limit)


def unbroadcast(g: ndarray, shape: tuple[int, ...], lead: int) -> ndarray:
    """Sum a gradient over the axes along which an operand was broadcast.

    Args:
        g: (R, …) or (…), of the broadcast shape.
        shape: the operand's.
        lead: the number of axes in front of the broadcast shape, 0 or 1.
    """
    if more := g.ndim - lead - len(shape):
        g = g.sum(axis=tuple(range(lead, lead + more)))
    axes = tuple(lead + i for i, n in enumerate(shape) if n == 1 and g.shape[lead + i] != 1)
    return np.asarray(g.sum(axis=axes, keepdims=True)) if axes else g


def padded(value: ndarray, n: int) -> ndarray:
    """Return (R, …) with axes of length 1 after the first, up to n axes beside it."""
    missing = n - (value.ndim - 1)
    return value.reshape(len(value), *(1,) * missing, *value.shape[1:]) if missing else value
