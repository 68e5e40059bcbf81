"""The namespace on TensorFlow, and gradients by its tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from numpy import ndarray

from harness.derive.namespaces import BINARY, UNARY, Namespace
from harness.derive.stepping import Calculation, Loop

_OWN = {"relu": tf.nn.relu, "silu": tf.nn.silu}


def _with_slope(function: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function with another slope: v minus itself is zero, and its derivative is one."""
    stop = tf.stop_gradient
    return lambda v: stop(function(v)) + stop(slope(v)) * (v - stop(v))


def _clip_slope(function: Callable[[Any], Any], limit: float) -> Callable[[Any], Any]:
    def slope(v: Any) -> Any:
        at = tf.stop_gradient(v)
        with tf.GradientTape() as tape:
            tape.watch(at)
            total = tf.reduce_sum(function(at))
        return tf.clip_by_value(tape.gradient(total, at), -limit, limit)

    return _with_slope(function, slope)


def _pair(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of two tensors that takes a number for one of them."""

    def call(a: Any, b: Any) -> Any:
        dtype = a.dtype if tf.is_tensor(a) else b.dtype
        return function(tf.convert_to_tensor(a, dtype), tf.convert_to_tensor(b, dtype))

    return call


def _where(condition: Any, a: Any, b: Any) -> Any:
    dtype = a.dtype if tf.is_tensor(a) else b.dtype
    return tf.where(condition, tf.convert_to_tensor(a, dtype), tf.convert_to_tensor(b, dtype))


xp = Namespace(
    **{name: _OWN.get(name) or getattr(tf.math, name) for name in UNARY},
    **{name: _pair(getattr(tf.math, name)) for name in BINARY},
    matmul=tf.matmul,
    einsum=tf.einsum,
    where=_where,
    concat=lambda parts, axis=0: tf.concat(list(parts), axis),
    stack=lambda parts, axis=0: tf.stack(list(parts), axis),
    reshape=tf.reshape,
    permute_dims=lambda v, axes: tf.transpose(v, axes),
    sum=lambda v, axis=None, keepdims=False: tf.reduce_sum(v, axis, keepdims),
    mean=lambda v, axis=None, keepdims=False: tf.reduce_mean(v, axis, keepdims),
    zeros_like=tf.zeros_like,
    log_softmax=tf.nn.log_softmax,
    stop=tf.stop_gradient,
    clip_slope=_clip_slope,
    surrogate=_with_slope,
)
"""The namespace."""


def gradients(problem: Calculation) -> dict[str, ndarray]:
    """Return loss, outputs, last states and every gradient by TensorFlow's tape, in the problem's dtype."""
    leaves: dict[str, Any] = {}

    def leaf(name: str, array: ndarray) -> Any:
        leaves[name] = tf.constant(array)
        return leaves[name]

    moved = problem.mapped(leaf)
    with tf.GradientTape() as tape:
        tape.watch(list(leaves.values()))
        answers = moved.answers(Loop(xp, tf.constant))
    found = tape.gradient(answers["loss"], list(leaves.values()), unconnected_gradients="zero")
    by_name = {name: g for name, g in zip(leaves, found, strict=True) if name not in problem.constant}
    return {name: each.numpy() for name, each in {**answers, **by_name}.items()}
