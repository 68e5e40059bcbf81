"""The namespace on JAX, and gradients by its reverse mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy import ndarray

from harness.derive.namespaces import BINARY, UNARY, Namespace
from harness.derive.recording import Sequences, stepped

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


@contextmanager
def _in_float64() -> Iterator[None]:
    """Let JAX keep float64, which it makes float32 of by default; a user's own process may leave that so."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


def gradients(problem: Sequences) -> dict[str, ndarray]:
    """Return loss, outputs, last states and every gradient by JAX's reverse mode, in the problem's dtype."""
    recurrence, weights, state = problem.recurrence, dict(problem.weights), dict(problem.initial_state)
    moving = {name: np.moveaxis(problem.inputs[name], 1, 0) for name in problem.moving}  # (T, B, …)

    def loss_of(weights: Any, moving: Any, context: Any, state: Any) -> Any:
        def body(state: Any, x: Any) -> Any:
            after, output = stepped(recurrence, xp, weights, {**x, **context}, state)
            return dict(after), output

        last, outputs = jax.lax.scan(body, state, moving)
        outputs = jnp.moveaxis(outputs, 0, 1)  # (B, T, …)
        loss = (outputs * problem.upstream).sum()
        return loss + sum((last[name] * g).sum() for name, g in problem.upstream_state.items()), (outputs, last)

    compiled = jax.jit(jax.value_and_grad(loss_of, (0, 1, 2, 3), has_aux=True))
    with _in_float64():
        given = jax.tree.map(jnp.asarray, (weights, moving, problem.context, state))
        (loss, (outputs, last)), (d_weights, d_moving, d_context, d_state) = compiled(*given)
    found = {"loss": loss, "outputs": outputs, **{f"last.{name}": each for name, each in last.items()}, **d_weights}
    found |= {f"inputs.{name}": np.moveaxis(np.asarray(each), 0, 1) for name, each in d_moving.items()}
    found |= {f"inputs.{name}": each for name, each in d_context.items()}
    found |= {f"{name}0": each for name, each in d_state.items()}
    return {name: np.asarray(each) for name, each in found.items() if name not in problem.constant}
