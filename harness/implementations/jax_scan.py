"""``jax``: the step of a recurrence in lax.scan, under value_and_grad, compiled whole by jit.

The step is the harness's own, and so are the layers around it. No library's cells are used, so both variants of the gru
are available.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from harness.derive.network import Architecture, NetworkArrays, losses_of, outputs_of
from harness.implementations.base import ANY, Framework, Returned, implementation
from harness.problem import Problem
from harness.problem.recurrent import RecurrenceProblem

if TYPE_CHECKING:
    from jax import Array

JAX = Framework(
    "jax",
    ("jax",),
    install="jax",
    # Without JAX_ENABLE_X64, JAX converts float64 to float32 in silence.
    environment={"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1", "CUDA_VISIBLE_DEVICES": ""},
)

Outputs = Callable[[Architecture, Mapping[str, "Array"], "Array | None"], "Array"]
"""A function from a network, all tensors with a gradient by name, and the valid steps, (B, T) of bool or None for all
steps, to the outputs (B, T, O)."""


@implementation("jax", layout="split", framework=JAX, complete=True, first_of_sweep=True, recurrence=ANY)
def jax_scan(problem: Problem) -> Returned:
    """The recurrence by jax.lax.scan, under jax.value_and_grad and jit."""
    if isinstance(problem, RecurrenceProblem):
        from harness.derive.namespaces import jax

        return jax.gradients(problem.sequences)
    return solved(problem, _outputs)


def solved(problem: Problem, of: Outputs) -> Returned:
    """Return loss, outputs and gradients of a network whose outputs are written in JAX."""
    arrays = problem.network

    def found(*, quickly: bool) -> dict[str, ndarray]:
        compiled = _compiled(of, arrays.network, quickly)
        (loss, outputs), gradients = compiled(dict(arrays.leaves), arrays.targets, arrays.covered, arrays.valid)
        gradients = {name: each for name, each in gradients.items() if name not in arrays.constant}
        return {name: np.asarray(each) for name, each in {"loss": loss, "outputs": outputs, **gradients}.items()}

    quick = found(quickly=True)
    # A sum that overflows is infinite or NaN, depending on the rounding of its products and so on the compilation.
    return quick if all(np.isfinite(each).all() for each in quick.values()) else found(quickly=False)


@lru_cache(maxsize=64)
def _compiled(of: Outputs, network: Architecture, quickly: bool) -> Callable[..., Any]:
    """Return a function that compiles the program in its first call and keeps it, which takes some megabytes."""
    import jax

    from harness.derive.namespaces.jax import Scan, xp

    loop = Scan(xp)

    def loss_and_outputs(
        leaves: Mapping[str, Array], targets: Array, covered: Array, valid: Array | None
    ) -> tuple[Array, Array]:
        outputs = of(network, leaves, valid)  # (B, T, O)
        losses = losses_of(loop, NetworkArrays(network, leaves, targets, covered, valid), loop.over(outputs))  # (B,)
        return losses.sum(), outputs

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


def _outputs(network: Architecture, leaves: Mapping[str, Array], valid: Array | None) -> Array:
    """Return the outputs, (B, T, D·H), or (B, T, O) with a readout, zero past each sequence's end."""
    from harness.derive.namespaces.jax import Scan, xp

    loop = Scan(xp).with_activation(network.activation)
    return loop.whole(outputs_of(loop, network, network.in_sequences(loop, leaves), valid))
