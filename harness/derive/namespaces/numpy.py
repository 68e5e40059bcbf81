"""The namespace on NumPy: plain arrays, complex ones for the complex step, and nodes of a tape.

Every function is holomorphic wherever it is smooth, so that a complex step through it gives its derivative. NumPy's
own ``abs``, ``maximum`` and ``where(z > 0)`` of complex numbers are not: they also compare or measure the imaginary
part, and the derivative is silently wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from harness.derive.namespaces import BINARY, UNARY, Namespace, OutsideNamespaceError
from harness.derive.operations import Clipped, Elementwise
from harness.derive.tape import Condition, Node


def _sigmoid(z: ndarray) -> ndarray:
    s = np.exp(-_abs(z))  # at most 1
    return np.where(z.real < 0, s / (1 + s), 1 / (1 + s))


def _softplus(z: ndarray) -> ndarray:
    rest = np.log1p(np.exp(-_abs(z)))
    return np.where(z.real < 0, rest, z + rest)  # as ``_abs`` chooses, so that the slope at 0 is 1/2


def _silu(z: Any) -> Any:
    return z * xp.sigmoid(z)  # two operations on a tape, as a backward pass by hand has two terms for them


def _relu(z: ndarray) -> ndarray:
    return np.where(z.real > 0, z, 0 * z)


def _abs(z: ndarray) -> ndarray:
    return np.where(z.real < 0, -z, z)


def _maximum(a: ndarray, b: ndarray) -> ndarray:
    return np.where(np.real(a) >= np.real(b), a, b)


def _minimum(a: ndarray, b: ndarray) -> ndarray:
    return np.where(np.real(a) <= np.real(b), a, b)


_OWN: dict[str, Callable[..., Any]] = {
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "relu": _relu,
    "abs": _abs,
    "maximum": _maximum,
    "minimum": _minimum,
}


def _tape_of(*operands: Any) -> Any:
    return next((each.tape for each in operands if isinstance(each, Node | Condition)), None)


def _elementwise(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = _OWN.get(name) or getattr(np, name)
    count, words = (1, "one array") if name in UNARY else (2, "two arrays")

    def call(*operands: Any) -> Any:
        if len(operands) != count:
            raise OutsideNamespaceError(f"xp.{name} takes {words}, but received {len(operands)} arguments")
        for each in operands:
            _check_operand(name, each)
        tape = _tape_of(*operands)
        if tape is not None:
            return tape.elementwise(function, *operands)
        return function(*(np.asarray(each) for each in operands))

    call.__name__, call.__qualname__ = name, f"xp.{name}"
    return call


def _check_operand(name: str, operand: Any) -> None:
    """Refuse an operand that is neither an array nor a number."""
    if operand is None:
        raise OutsideNamespaceError(f"xp.{name} received None, as an absent optional array is; write the step for both")
    if not isinstance(operand, Node | ndarray | np.number | int | float | complex):
        kind = f"a {type(operand).__name__}"
        if isinstance(operand, Condition | Mapping):
            kind = "a comparison" if isinstance(operand, Condition) else "arrays by name"
        raise OutsideNamespaceError(f"xp.{name} received {kind}, but takes arrays and numbers")


def _einsum(spec: str, *operands: Any) -> Any:
    tape = _tape_of(*operands)
    return np.einsum(spec, *operands) if tape is None else tape.einsum(spec, *operands)


def _matmul(a: Any, b: Any) -> Any:
    tape = _tape_of(a, b)
    return np.matmul(a, b) if tape is None else tape.matmul(a, b)


def _where(condition: Any, a: Any, b: Any) -> Any:
    tape = _tape_of(condition, a, b)
    return np.where(condition, a, b) if tape is None else tape.where(condition, a, b)


def _concat(parts: Any, axis: int = 0) -> Any:
    tape = _tape_of(*parts)
    if tape is None:
        return np.concatenate(parts, axis)
    return tape.gather("concat", axis, lambda *each: np.concatenate(each, axis), *parts)


def _stack(parts: Any, axis: int = 0) -> Any:
    tape = _tape_of(*parts)
    if tape is None:
        return np.stack(parts, axis)
    return tape.gather("stack", axis, lambda *each: np.stack(each, axis), *parts)


def _reshape(v: Any, shape: tuple[int, ...]) -> Any:
    tape = _tape_of(v)
    return np.reshape(v, shape) if tape is None else tape.gather("reshape", shape, lambda a: a.reshape(shape), v)


def _permute_dims(v: Any, axes: tuple[int, ...]) -> Any:
    tape = _tape_of(v)
    return np.transpose(v, axes) if tape is None else tape.gather("permute_dims", axes, lambda a: a.transpose(axes), v)


def _sum(v: Any, axis: Any = None, keepdims: bool = False) -> Any:
    tape = _tape_of(v)
    return np.sum(v, axis=axis, keepdims=keepdims) if tape is None else tape.sum(v, axis, keepdims)


def _mean(v: Any, axis: Any = None, keepdims: bool = False) -> Any:
    tape = _tape_of(v)
    return np.mean(v, axis=axis, keepdims=keepdims) if tape is None else tape.sum(v, axis, keepdims, mean=True)


def _zeros_like(v: Any) -> Any:
    tape = _tape_of(v)
    return np.zeros_like(v) if tape is None else tape.constant(np.zeros_like(v.value))


def _log_softmax(v: Any) -> Any:
    tape = _tape_of(v)  # a shift does not change the value, so that its own derivative is zero
    shifted = v - (np.real(v).max(-1, keepdims=True) if tape is None else tape.largest(v))
    return shifted - xp.log(xp.sum(xp.exp(shifted), -1, True))


def _stop(v: Any) -> Any:
    tape = _tape_of(v)
    if tape is not None:
        tape.deviates = True
        return tape.constant(v.value)
    return v.real.astype(v.dtype) if np.iscomplexobj(v) else v


def _with_slope(function: Callable[..., Any], slope: Callable[[ndarray], ndarray]) -> Callable[[Any], Any]:
    operation = Elementwise(function, slope)

    def call(v: Any) -> Any:
        tape = _tape_of(v)
        if tape is None:
            return operation.apply([v], [False])
        tape.deviates = True
        return tape.elementwise(function, v, slope=slope)

    return call


def _clip_slope(function: Callable[..., Any], limit: float) -> Callable[[Any], Any]:
    return _with_slope(function, Clipped(function, limit))


def _surrogate(function: Callable[..., Any], slope: Callable[..., Any]) -> Callable[[Any], Any]:
    return _with_slope(function, slope)


for _function in (
    _einsum,
    _matmul,
    _where,
    _concat,
    _stack,
    _reshape,
    _permute_dims,
    _sum,
    _mean,
    _zeros_like,
    _log_softmax,
    _stop,
):
    _function.__qualname__ = f"xp.{_function.__name__[1:]}"  # the name in messages about wrong arguments

xp = Namespace(
    **{name: _elementwise(name) for name in (*UNARY, *BINARY) if name != "silu"},
    silu=_silu,
    matmul=_matmul,
    einsum=_einsum,
    where=_where,
    concat=_concat,
    stack=_stack,
    reshape=_reshape,
    permute_dims=_permute_dims,
    sum=_sum,
    mean=_mean,
    zeros_like=_zeros_like,
    log_softmax=_log_softmax,
    stop=_stop,
    clip_slope=_clip_slope,
    surrogate=_surrogate,
)
"""The namespace."""
