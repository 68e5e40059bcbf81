"""``flax``: Flax's SimpleCell, OptimizedLSTMCell or GRUCell in stacked nn.RNN layers, in nn.Bidirectional.

Everything except the network is that of ``jax``: the loss, value_and_grad, jit. The outputs of nn.RNN contain those of
the padding, and its last state for a sequence without steps is that of the padding. This module corrects both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.derive.network import Architecture
from harness.derive.truncated import pieces
from harness.implementations.base import Framework, Returned, implementation
from harness.implementations.jax_scan import JAX, solved
from harness.problem import Problem

if TYPE_CHECKING:
    from jax import Array

FLAX = Framework("flax", ("jax", "flax"), install="flax", environment=JAX.environment)


@implementation(
    "flax",
    layout="flax",
    framework=FLAX,
    supports={"cell": ("rnn", "lstm", "gru"), "reset": ("after",)},
    complete=True,
    first_of_sweep=True,
)
def flax_rnn(problem: Problem) -> Returned:
    """flax.linen.RNN of SimpleCell, OptimizedLSTMCell or GRUCell, Bidirectional, and Dense, under value_and_grad."""
    return solved(problem, _outputs)


def _outputs(network: Architecture, leaves: Mapping[str, Array], valid: Array | None) -> Array:
    """Return the outputs, (B, T, D·H), or (B, T, O) with a readout, zero past each sequence's end."""
    import jax
    from flax import linen
    from jax import numpy as jnp

    structure = network.structure
    lengths = None if valid is None else valid.sum(1)  # (B,)

    def run(first: int, last: int, states: list[Any]) -> tuple[Array, list[Any]]:
        outputs, ended = leaves["inputs"][:, first:last], []
        left = None if lengths is None else jnp.clip(lengths - first, 0, last - first)  # (B,)
        for n, before in enumerate(states):
            own = _parameters(f"layer{n}.", leaves)
            if structure.directions == 1:
                own = {"cell": own}
            else:
                own = {f"{each}_rnn": {"cell": own[each]} for each in ("forward", "backward")}
            layer = _layer(network)
            after, outputs = layer.apply(
                {"params": own}, outputs, initial_carry=before, seq_lengths=left, return_carry=True
            )
            if left is not None:
                after = jax.tree.map(lambda a, b: jnp.where(left[:, None] > 0, a, b), after, before)  # (B, H) each
            ended.append(after)
        return outputs, ended

    def carry(block: str) -> Any:
        h0 = leaves[f"{block}.h0"]
        return (leaves[f"{block}.c0"], h0) if structure.cell == "lstm" else h0

    initial = [
        carry(f"layer{n}") if structure.directions == 1 else tuple(carry(block) for block in structure.blocks_of(n))
        for n in range(structure.layers)
    ]
    graphs = pieces(network.truncation, structure.time, initial, run, jax.lax.stop_gradient)
    outputs = jnp.concatenate(graphs, 1)  # (B, T, D·H)
    if structure.output is not None:
        outputs = linen.Dense(structure.output).apply({"params": _parameters("readout.", leaves)}, outputs)  # (B, T, O)
    return outputs if valid is None else jnp.where(valid[:, :, None], outputs, 0)


def _layer(network: Architecture) -> Any:
    """Return a layer of the network without its parameters."""
    from flax import linen

    from harness.derive.namespaces.jax import xp

    structure, phi = network.structure, xp.with_activation(network.activation).activation

    def one() -> Any:
        match structure.cell:
            case "lstm":
                return linen.RNN(linen.OptimizedLSTMCell(structure.hidden))
            case "gru":
                return linen.RNN(linen.GRUCell(structure.hidden))
            case _:
                return linen.RNN(linen.SimpleCell(structure.hidden, activation_fn=phi))

    return one() if structure.directions == 1 else linen.Bidirectional(one(), one())


def _parameters(prefix: str, leaves: Mapping[str, Array]) -> dict[str, Any]:
    """Return the parameters with a prefix in their names, nested like Flax's: ``{"ir": {"kernel": …, "bias": …}}``."""
    nested: dict[str, Any] = {}
    for name, each in leaves.items():
        if name.startswith(prefix):
            *path, last = name.removeprefix(prefix).split(".")
            inner = nested
            for part in path:
                inner = inner.setdefault(part, {})
            inner[last] = each
    return nested
