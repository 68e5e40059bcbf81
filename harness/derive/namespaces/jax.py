"""The namespace on JAX, and gradients by its reverse mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy import ndarray

from harness.derive.namespaces import BINARY, UNARY, Namespace
from harness.derive.stepping import Calculation, Loop, Span

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
    log_softmax=jax.nn.log_softmax,
    stop=jax.lax.stop_gradient,
    clip_slope=_clip_slope,
    surrogate=_with_slope,
)
"""The namespace."""


class Scan(Loop):
    """A loop over time by ``lax.scan``; a sequence is an array (T, B, …)."""

    def over(self, array: Any) -> Any:
        """Return the sequence of an array (B, T, …)."""
        return jnp.moveaxis(jnp.asarray(array), 1, 0)

    def constants(self, array: Any) -> Any:
        """Return the sequence of an array (B, T, …), through which no gradient passes."""
        return self.over(array)

    def masks(self, mask: Any) -> Any:
        """Return the sequence of a mask (B, T)."""
        return self.over(mask)

    def whole(self, sequence: Any) -> Any:
        """Return the array (B, T, …) of a sequence."""
        return jnp.moveaxis(sequence, 0, 1)

    def joined(self, sequences: Sequence[Any]) -> Any:
        """Return the sequence of all steps of sequences, one after another."""
        return jnp.concatenate(list(sequences))

    def scan(self, body: Callable[[Any, Any, Any], Any], state: Any, given: tuple[Any, Any], span: Span) -> Any:
        """Run a step after another, each from the state that the one before it leaves."""

        def one(state: Any, given_step: tuple[Any, Any]) -> Any:
            x, there = given_step
            after, output = body(x, there, state)
            # A number of NumPy's float64 makes float64 of float32, which no other framework does.
            dtype = jax.tree.leaves((x, state))[0].dtype
            return jax.tree.map(lambda array: array.astype(dtype), (after, output))

        return jax.lax.scan(one, state, given, reverse=span.block.endswith(".reverse"))

    def map(self, body: Callable[..., Any], sequences: Sequence[Any], span: Span) -> Any:
        """Return the sequence of a function of the items of each step, which works on the last axes alone."""
        del span
        return jax.vmap(body)(*sequences)

    def total(self, sequence: Any, span: Span) -> Any:
        """Return the sum of a sequence over its steps."""
        del span
        return sequence.sum(0)


@contextmanager
def _in_float64() -> Iterator[None]:
    """Let JAX keep float64, which it makes float32 of by default; a user's own process may leave that so."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


def gradients(problem: Calculation) -> dict[str, ndarray]:
    """Return loss, outputs, last states and every gradient by JAX's reverse mode, in the problem's dtype."""
    leaves: dict[str, ndarray] = {}
    problem.mapped(lambda name, array: leaves.setdefault(name, array))

    def loss_of(leaves: Any) -> Any:
        answers = problem.mapped(lambda name, _: leaves[name]).answers(Scan(xp))
        return answers["loss"], answers

    with _in_float64():
        (_, answers), found = jax.jit(jax.value_and_grad(loss_of, has_aux=True))(leaves)
    found = {name: each for name, each in found.items() if name not in problem.constant}
    return {name: np.asarray(each) for name, each in {**answers, **found}.items()}
