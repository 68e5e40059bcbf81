"""Right answers of frameworks: the step under torch's or JAX's automatic differentiation, and torch's own modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy import ndarray

from benchmarks.low_precision.passes import Answer
from harness.derive.namespaces.torch import xp
from harness.derive.stepping import Fixed, Loop, Span, direction, stepped
from harness.problem.recurrent import RecurrenceProblem
from harness.recurrences import Recurrence
from harness.torch import Conventions, TorchFunction, answered

Tensors = Mapping[str, torch.Tensor]


def by_torch(function: TorchFunction, dtype: torch.dtype) -> Answer:
    """Return the answers of a torch function that receives tensors of a dtype."""

    def answer(problem: RecurrenceProblem) -> dict[str, ndarray]:
        return answered(function, problem, dtype, "cpu", Conventions())

    return answer


def unrolled(recurrence: Recurrence) -> TorchFunction:
    """Return the step over all steps in torch, each operation in the dtype of its operands."""

    def run(weights: Tensors, inputs: Tensors, state: Tensors) -> Any:
        moving = {name: inputs[name] for name in recurrence.inputs if name in inputs}
        context = {name: inputs[name] for name in recurrence.context if name in inputs}
        loop = Loop(xp, torch.tensor)
        given = {name: loop.over(each) for name, each in moving.items()}
        span = Span("", 0, next(iter(moving.values())).shape[1])
        last, outputs = direction(loop, recurrence, Fixed(weights, context), state, (given, None), span)
        return torch.stack(outputs, 1), last

    return run


def in_float32(recurrence: Recurrence) -> TorchFunction:
    """Return the same with each step in float32; the states between steps and the outputs are stored as they came."""

    def run(weights: Tensors, inputs: Tensors, state: Tensors) -> Any:
        dtype = next(iter(inputs.values())).dtype
        wide = {name: each.float() for name, each in weights.items()}
        moving = [name for name in recurrence.inputs if name in inputs]
        context = {name: inputs[name].float() for name in recurrence.context if name in inputs}
        now, outputs = dict(state), []
        for t in range(inputs[moving[0]].shape[1]):
            x = {**{name: inputs[name][:, t].float() for name in moving}, **context}
            now, y = stepped(recurrence, xp, wide, x, {name: each.float() for name, each in now.items()})
            now = {name: each.to(dtype) for name, each in now.items()}
            outputs.append(y.to(dtype))
        return torch.stack(outputs, 1), now

    return run


def autocast(recurrence: Recurrence, dtype: torch.dtype) -> TorchFunction:
    """Return the same in float32 under autocast, which computes products in a dtype."""
    run = unrolled(recurrence)

    def cast(weights: Tensors, inputs: Tensors, state: Tensors) -> Any:
        with torch.autocast("cpu", dtype):
            outputs, last = run(weights, inputs, state)  # type: ignore[arg-type] # dictionaries, as they came
        return outputs.float(), {name: each.float() for name, each in last.items()}

    return cast


def module(weights: Tensors, inputs: Tensors, state: Tensors) -> Any:
    """Run torch.nn.LSTM, GRU or RNN with the problem's weights."""
    W, U, b = weights["W_xh"], weights["W_hh"], weights["b_h"]
    H = state["h"].shape[1]
    kind = torch.nn.LSTM if "c" in state else torch.nn.GRU if "b_hn" in weights else torch.nn.RNN
    layer = kind(W.shape[0], H, batch_first=True, device="meta")
    rest = torch.cat([torch.zeros_like(b[: 2 * H]), weights["b_hn"]]) if "b_hn" in weights else torch.zeros_like(b)
    given = {"weight_ih_l0": W.T, "weight_hh_l0": U.T, "bias_ih_l0": b, "bias_hh_l0": rest}
    initial = (state["h"][None], state["c"][None]) if "c" in state else state["h"][None]
    outputs, last = torch.func.functional_call(layer, given, (inputs["x"], initial))
    return outputs, dict(zip(state, [each[0] for each in (last if "c" in state else [last])], strict=True))


def by_jax(recurrence: Recurrence, format: str) -> Answer:
    """Return the step by lax.scan in a format, under JAX's reverse mode, compiled."""
    import jax
    import jax.numpy as jnp

    def answer(problem: RecurrenceProblem) -> dict[str, ndarray]:
        sequences = problem.sequences
        leaves: dict[str, Any] = {}
        sequences.mapped(lambda name, array: leaves.setdefault(name, jnp.asarray(array, format)))
        upstream = jnp.asarray(sequences.upstream, format)
        states = {name: jnp.asarray(g, format) for name, g in sequences.upstream_state.items()}
        outputs, last, found = _compiled(recurrence)(leaves, upstream, states)
        given = {"outputs": outputs, **{f"last.{name}": each for name, each in last.items()}, **found}
        return {name: np.asarray(jax.device_get(each), np.float64) for name, each in given.items()}

    return answer


@cache
def _compiled(recurrence: Recurrence) -> Callable[..., Any]:
    import jax

    from harness.derive.namespaces.jax import Scan
    from harness.derive.namespaces.jax import xp as of_jax

    def forward(leaves: Any) -> Any:
        loop = Scan(of_jax)
        weights = {name: leaves[name] for name in recurrence.weights if name in leaves}
        given = {name: loop.over(leaves[f"inputs.{name}"]) for name in recurrence.inputs if f"inputs.{name}" in leaves}
        context = {name: leaves[f"inputs.{name}"] for name in recurrence.context if f"inputs.{name}" in leaves}
        state = {name: leaves[f"{name}0"] for name in recurrence.state}
        steps = Span("", 0, next(leaves[f"inputs.{name}"].shape[1] for name in given))
        last, outputs = direction(loop, recurrence, Fixed(weights, context), state, (given, None), steps)
        return loop.whole(outputs), dict(last)

    def both(leaves: Any, upstream: Any, states: Any) -> Any:
        (outputs, last), pull = jax.vjp(forward, leaves)
        return outputs, last, pull((upstream, states))[0]

    return jax.jit(both)
