"""Build a problem: make the arrays of a case."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy import ndarray

from harness.case.fields import ArraySpec, ArraySpecs, ValidCase, spec_kind
from harness.problem import arrays
from harness.problem.problem import NativeWeights, Problem
from harness.problem.recurrent import build_recurrence
from harness.tensors import Shape


def build(case: ValidCase, native_weights: NativeWeights) -> Problem:
    """Make the arrays of a case. They are read-only; ``Problem.copy`` has writable ones.

    Args:
        case: A valid case.
        native_weights: The function that returns a framework's own initial weights.
    """
    if case.recurrence is not None:
        return build_recurrence(case)
    structure, folder = case.structure, Path(case.file).parent

    def tensors(specs: ArraySpecs, shapes: Mapping[str, Shape]) -> dict[str, ndarray]:
        return {
            name: arrays.make(_spec_of(specs, name), name, shape, case.dtype, folder) for name, shape in shapes.items()
        }

    if isinstance(case.weights, dict) and "from" in case.weights:
        framework, seed = case.weights["from"], case.weights.get("seed", 0)
        weights = dict(native_weights(framework, seed, structure, case.dtype))
    elif isinstance(case.weights, dict) and "checkpoint" in case.weights:
        from harness.case import checkpoints
        from harness.problem.checkpoint import of_checkpoint

        weights = of_checkpoint(checkpoints.found(case, folder), structure, case.dtype, case.weights.get("readout"))
    else:
        weights = tensors(case.weights, structure.weights)
    is_labels = case.loss.kind == "softmax_cross_entropy"
    problem = Problem(
        case=case,
        weights=weights,
        initial_state=tensors(case.initial_state, structure.initial_state),
        inputs=arrays.make(case.inputs, "inputs", structure.inputs, case.dtype, folder),
        targets=arrays.make(
            (case.upstream if case.loss.kind == "dot" else case.targets) or "zeros",
            "targets",
            structure.outputs[:2] if is_labels else structure.outputs,
            np.int64 if is_labels else case.dtype,
            folder,
        ),
    )
    for array in (*problem.weights.values(), *problem.initial_state.values(), problem.inputs, problem.targets):
        array.setflags(write=False)
    return problem


def _spec_of(specs: ArraySpecs, tensor: str) -> ArraySpec:
    """Return the spec of one tensor from a spec for all tensors or from a mapping by name."""
    if isinstance(specs, str) or spec_kind(specs) is not None:
        return specs
    spec: ArraySpec = specs[tensor] if tensor in specs else specs.get("default", "zeros")
    return spec
