"""``jax``: the recurrence as lax.scan over one step of the cell, under value_and_grad, compiled whole by jit.

The formulas are those of ``reference_impls``, written anew. No library's cells are used, so both variants of the gru
are available.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from harness.derive.truncated import pieces
from harness.implementations.base import ANY, Framework, Returned, implementation
from harness.problem import Problem
from harness.problem.recurrent import RecurrenceProblem
from harness.tensors import STATES, Structure
from reference_impls.truncation import Truncation

if TYPE_CHECKING:
    from jax import Array

JAX = Framework(
    "jax",
    ("jax",),
    install="jax",
    # Without JAX_ENABLE_X64, JAX converts float64 to float32 in silence.
    environment={"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1", "CUDA_VISIBLE_DEVICES": ""},
)

States = tuple["Array", ...]
"""A layer's states, (B, H) each."""

Activation = Callable[["Array"], "Array"]

Step = Callable[["Array", States, Mapping[str, "Array"], Activation], States]
"""A function from x_t W_xh + b_h (B, G·H), the states before, the layer's weights and φ to the next states, h first."""


@dataclass(frozen=True)
class Program:
    """The parts of a problem that are compiled into its program; all others are the program's arguments.

    Attributes:
        structure: The network, with its sizes.
        activation: φ, by its name in case files.
        truncation: The truncation of the gradient.
        loss: The kind of the loss.
        reduction: The reduction of the loss, ``sum`` or ``mean``.
    """

    structure: Structure
    activation: str
    truncation: Truncation | None
    loss: str
    reduction: str

    @property
    def phi(self) -> Activation:
        """φ by JAX's own function."""
        import jax

        functions = {"tanh": jax.numpy.tanh, "relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid, "identity": lambda a: a}
        return functions[self.activation]


Outputs = Callable[[Program, Mapping[str, "Array"], "Array | None"], "Array"]
"""A function from a program, all tensors with a gradient by name, and the valid steps, (B, T) of bool or None for all
steps, to the outputs (B, T, O)."""


@implementation("jax", layout="split", framework=JAX, complete=True, first_of_sweep=True, recurrence=ANY)
def jax_scan(problem: Problem) -> Returned:
    """The recurrence by jax.lax.scan, under jax.value_and_grad and jit."""
    if isinstance(problem, RecurrenceProblem):
        from harness.derive.namespaces import jax

        return jax.gradients(problem.sequences)
    return solved(problem, _outputs)


def solved(problem: Problem, outputs_of: Outputs) -> Returned:
    """Return loss, outputs and gradients of a network whose outputs are written in JAX."""
    case = problem.case
    program = Program(problem.structure, case.activation, problem.truncation, case.loss.kind, case.loss.reduction)
    leaves = {**problem.weights, **problem.initial_state, "inputs": problem.inputs}
    valid = None if problem.lengths is None else problem.valid  # (B, T)

    def found(*, quickly: bool) -> dict[str, ndarray]:
        compiled = _compiled(outputs_of, program, quickly)
        (loss, outputs), gradients = compiled(leaves, problem.targets, problem.covered, valid)
        return {name: np.asarray(each) for name, each in {"loss": loss, "outputs": outputs, **gradients}.items()}

    quick = found(quickly=True)
    # A sum that overflows is infinite or NaN, depending on the rounding of its products and so on the compilation.
    return quick if all(np.isfinite(each).all() for each in quick.values()) else found(quickly=False)


@lru_cache(maxsize=64)
def _compiled(outputs_of: Outputs, program: Program, quickly: bool) -> Callable[..., Any]:
    """Return a function that compiles the program in its first call and keeps it, which takes some megabytes."""
    import jax

    def loss_and_outputs(
        leaves: Mapping[str, Array], targets: Array, covered: Array, valid: Array | None
    ) -> tuple[Array, Array]:
        outputs = outputs_of(program, leaves, valid)  # (B, T, O)
        return _loss_of(program, outputs, targets, covered), outputs

    both = jax.value_and_grad(loss_and_outputs, has_aux=True)
    return jax.jit(both, compiler_options=_known_options() if quickly else None)


QUICK: Mapping[str, bool | int] = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""Options that reduce XLA's time to compile to a third.

Each program runs once or a few times, for microseconds, and takes a second to compile without them. With them, products
and sums are rounded one by one.
"""


@cache
def _known_options() -> dict[str, bool | int]:
    """Return the options of ``QUICK`` that this version of XLA has; none is guaranteed."""
    import jax

    def is_known(option: str) -> bool:
        try:
            jax.jit(lambda: 0, compiler_options={option: QUICK[option]})()
        except jax.errors.JaxRuntimeError:
            return False
        return True

    return {option: value for option, value in QUICK.items() if is_known(option)}


def _outputs(program: Program, leaves: Mapping[str, Array], valid: Array | None) -> Array:
    """Return the outputs, (B, T, D·H), or (B, T, O) with a readout, zero past each sequence's end."""
    import jax
    from jax import numpy as jnp

    structure, names = program.structure, STATES[program.structure.cell]
    step = STEPS[structure.cell]
    own = {  # the weights of each block
        block: {name.rpartition(".")[2]: each for name, each in leaves.items() if name.rpartition(".")[0] == block}
        for block in structure.blocks
    }

    def run(first: int, last: int, states: dict[str, States]) -> tuple[Array, dict[str, States]]:
        below, ended = leaves["inputs"][:, first:last].swapaxes(0, 1), dict(states)  # (last - first, B, I)
        there = None if valid is None else valid[:, first:last].T[:, :, None]  # (last - first, B, 1)
        for n in range(structure.layers):
            found = []
            for block in structure.blocks_of(n):
                w, is_reverse = own[block], block.endswith(".reverse")
                ended[block], h = _scanned(step, w, program.phi, below, there, ended[block], is_reverse)
                found.append(h)  # (last - first, B, H)
            below = jnp.concatenate(found, -1)  # (last - first, B, D·H)
        return below.swapaxes(0, 1), ended

    initial = {block: tuple(leaves[f"{block}.{name}"] for name in names) for block in structure.blocks}
    graphs = pieces(program.truncation, structure.time, initial, run, jax.lax.stop_gradient)
    outputs = jnp.concatenate(graphs, 1)  # (B, T, D·H)
    if "readout.W_hy" in leaves:
        outputs = zero_past_ends(outputs @ leaves["readout.W_hy"] + leaves["readout.b_y"], valid)  # (B, T, O)
    return outputs


def _scanned(
    step: Step,
    w: Mapping[str, Array],
    phi: Activation,
    below: Array,
    there: Array | None,
    initial: States,
    is_reverse: bool,
) -> tuple[States, Array]:
    """Run one direction of a layer over steps (T, B, I); ``there``, (T, B, 1) of bool, marks the valid ones.

    After its end a sequence keeps its states, and its outputs are zero.

    Returns:
        The states after the last step, and h of every step, (T, B, H).
    """
    import jax
    from jax import numpy as jnp

    def over(before: States, of_step: tuple[Array, Array | None]) -> tuple[States, Array]:
        x, is_there = of_step  # (B, G·H), (B, 1)
        after = step(x, before, w, phi)
        if is_there is None:
            return after, after[0]
        after = tuple(jnp.where(is_there, a, b) for a, b in zip(after, before, strict=True))
        return after, jnp.where(is_there, after[0], 0)

    from_inputs = below @ w["W_xh"] + w["b_h"]  # (T, B, G·H)
    return jax.lax.scan(over, initial, (from_inputs, there), reverse=is_reverse)


def _rnn(x: Array, states: States, w: Mapping[str, Array], phi: Activation) -> States:
    (h,) = states
    return (phi(x + h @ w["W_hh"]),)


def _lstm(x: Array, states: States, w: Mapping[str, Array], phi: Activation) -> States:
    from jax import nn
    from jax import numpy as jnp

    h, c = states
    i, f, g, o = jnp.split(x + h @ w["W_hh"], 4, axis=-1)  # (B, H) each
    c = nn.sigmoid(f) * c + nn.sigmoid(i) * phi(g)  # (B, H)
    return nn.sigmoid(o) * phi(c), c


def _gru(x: Array, states: States, w: Mapping[str, Array], phi: Activation) -> States:
    from jax import nn
    from jax import numpy as jnp

    (h,) = states
    H, W_hh = h.shape[1], w["W_hh"]  # (H, 3H)
    r, z = jnp.split(nn.sigmoid(x[:, : 2 * H] + h @ W_hh[:, : 2 * H]), 2, axis=-1)  # (B, H) each
    W_hn = W_hh[:, 2 * H :]  # (H, H)
    recurrent = r * (h @ W_hn + w["b_hn"]) if "b_hn" in w else (r * h) @ W_hn  # (B, H): reset after, or before
    n = phi(x[:, 2 * H :] + recurrent)  # (B, H)
    return ((1 - z) * n + z * h,)


STEPS: Mapping[str, Step] = {"rnn": _rnn, "lstm": _lstm, "gru": _gru}
"""One step of each cell."""


def zero_past_ends(outputs: Array, valid: Array | None) -> Array:
    """Return outputs (B, T, O) with zeros in steps that are not valid, (B, T)."""
    from jax import numpy as jnp

    return outputs if valid is None else jnp.where(valid[:, :, None], outputs, 0)


def _loss_of(program: Program, outputs: Array, targets: Array, covered: Array) -> Array:
    """Return the loss of outputs (B, T, O) at the covered steps (B, T), of shape ()."""
    from jax import nn
    from jax import numpy as jnp

    match program.loss:
        case "squared_error":
            terms = jnp.square(outputs - targets)  # (B, T, O)
        case "softmax_cross_entropy":
            labels = jnp.where(covered, targets, 0)[:, :, None]  # (B, T, 1)
            terms = -jnp.take_along_axis(nn.log_softmax(outputs), labels, -1)  # (B, T, 1)
        case "dot":
            terms = outputs * targets  # (B, T, O)
    reduced = jnp.sum if program.reduction == "sum" else jnp.mean
    return reduced(terms, where=covered[:, :, None])
