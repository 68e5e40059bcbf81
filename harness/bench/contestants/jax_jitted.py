"""``jax``: the cells written for JAX, lax.scan over the steps, and its vector-Jacobian product, in one jit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.bench.contestants.base import Contestant, Pass, Tensors
from harness.implementations.jax_scan import JAX
from harness.problem import Problem
from harness.tensors import STATES


def prepare(problem: Problem, threads: int) -> Pass:
    """Return the two passes, compiled by the first call; an environment variable sets JAX's number of threads."""
    del threads
    import jax
    from jax import numpy as jnp

    step = _steps()[problem.case.cell, problem.structure.reset]
    names = [f"layer0.{state}" for state in STATES[problem.case.cell]]

    def forward(given: Tensors) -> Any:
        x = jnp.swapaxes(given["inputs"], 0, 1)  # (T, B, I)
        from_inputs = x @ given["layer0.W_xh"] + given["layer0.b_h"]  # (T, B, G·H)

        def over(states: Any, of_inputs: Any) -> tuple[Any, Any]:
            after = step(given, states, of_inputs)  # (B, H) each
            return after, after[0]

        _, outputs = jax.lax.scan(over, tuple(given[name] for name in names), from_inputs)  # (T, B, H)
        return jnp.swapaxes(outputs, 0, 1)  # (B, T, H)

    def both(given: Tensors, upstream: Any) -> Tensors:
        outputs, back = jax.vjp(forward, given)
        return {"outputs": outputs, **back(upstream)[0]}

    compiled = jax.jit(both)
    arrays = {**problem.weights, **problem.initial_state, "inputs": problem.inputs}
    given = {name: jnp.asarray(array) for name, array in arrays.items()}
    upstream = jnp.asarray(problem.upstream)  # (B, T, H)
    return lambda: jax.block_until_ready(compiled(given, upstream))


def _steps() -> dict[tuple[str, str], Callable[[Tensors, Any, Any], Any]]:
    """Return one step of each cell: from the weights, the states before it and x W_xh + b_h to the states after it."""
    import jax
    from jax import numpy as jnp

    def rnn(weights: Tensors, states: Any, of_inputs: Any) -> Any:
        return (jnp.tanh(of_inputs + states[0] @ weights["layer0.W_hh"]),)  # (B, H)

    def lstm(weights: Tensors, states: Any, of_inputs: Any) -> Any:
        h, c = states  # (B, H) each
        i, f, g, o = jnp.split(of_inputs + h @ weights["layer0.W_hh"], 4, axis=-1)  # (B, H) each
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)  # (B, H)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    def gru_after(weights: Tensors, states: Any, of_inputs: Any) -> Any:
        (h,) = states  # (B, H)
        x_r, x_z, x_n = jnp.split(of_inputs, 3, axis=-1)  # (B, H) each
        h_r, h_z, h_n = jnp.split(h @ weights["layer0.W_hh"], 3, axis=-1)  # (B, H) each
        r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)  # (B, H) each
        n = jnp.tanh(x_n + r * (h_n + weights["layer0.b_hn"]))  # (B, H)
        return ((1 - z) * n + z * h,)

    return {("rnn", "after"): rnn, ("lstm", "after"): lstm, ("gru", "after"): gru_after}


CONTESTANT = Contestant("jax", "split", JAX, prepare)
