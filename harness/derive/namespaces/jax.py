"""The namespace on JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from harness.derive.namespaces import BINARY, UNARY, Namespace

_OWN = {name: getattr(jax.nn, name) for name in ("sigmoid", "softplus", "silu", "relu")}


def _with_slope(function: Callable[[Any], Any], slope: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function with another slope: v minus itself is zero, and its derivative is one."""
    stop = jax.lax.stop_gradient
    return lambda v: stop(function(v)) + stop(slope(v)) * (v - stop(v))


def _clip_slope(function: Callable[[Any], Any], limit: float) -> Callable[[Any], Any]:
    slope = jax.grad(lambda v: function(v).sum())
    return _with_slope(function, lambda v: jnp.clip(slope(jax.lax.stop_gradient(v)), -limit, limit))


xp = Namespace(
    **{name: _OWN.get(name) or getattr(jnp, name) for name in (*UNARY, *BINARY)},
    matmul=jnp.matmul,
    einsum=jnp.einsum,
    where=jnp.where,
    concat=lambda parts, axis=0: jnp.concatenate(list(parts), axis),
    stack=lambda parts, axis=0: jnp.stack(list(parts), axis),
    reshape=jnp.reshape,
    permute_dims=jnp.transpose,
    sum=jnp.sum,
    mean=jnp.mean,
    zeros_like=jnp.zeros_like,
    stop=jax.lax.stop_gradient,
    clip_slope=_clip_slope,
    surrogate=_with_slope,
)
"""The namespace."""
