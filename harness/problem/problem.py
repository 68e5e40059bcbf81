"""A problem: a case with all of its arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy import ndarray

from harness.case import checkpoints
from harness.case.fields import ArraySpec, ArraySpecs, Case, spec_kind
from harness.layout import layouts
from harness.problem import arrays
from harness.problem.checkpoint import of_checkpoint
from harness.tensors import Shape, Structure, shapes
from reference_impls.losses import LOSSES
from reference_impls.truncation import Detach, Truncation, Window

NativeWeights = Callable[[str, int, Structure, str], Mapping[str, ndarray]]
"""Maps a framework, a seed, a structure and a dtype to that framework's own initial weights, in the split layout."""


@dataclass(frozen=True, eq=False)
class Problem:
    """The input of an implementation.

    Attributes:
        case: The case: its sizes, activation, loss and so on.
        weights: Weights, biases and readout by name, in the layout that the implementation asked for.
        initial_state: ``layerN.h0`` (B, H) by name; also ``layerN.c0`` (B, H) for an lstm, and ``layerN.reverse.h0``
            for a bidirectional layer.
        inputs: The inputs, (B, T, I).
        targets: For squared_error, the targets, of the shape of the outputs; for softmax_cross_entropy, labels (B, T);
            for dot, the upstream gradient, of the shape of the outputs.
        layout: The layout of ``weights``.
    """

    case: Case
    weights: Mapping[str, ndarray]
    initial_state: Mapping[str, ndarray]
    inputs: ndarray
    targets: ndarray
    layout: str = "split"

    @property
    def structure(self) -> Structure:
        """The network's tensors and their shapes."""
        return self.case.structure

    @property
    def upstream(self) -> ndarray:
        """The upstream gradient of the outputs, for the loss dot; the same array as ``targets``."""
        return self.targets

    @property
    def covered(self) -> ndarray:
        """The (sequence, step) pairs that have a loss, (B, T) of bool; False past a sequence's end."""
        covered = np.zeros(self.structure.inputs[:2], np.bool_)  # (B, T)
        covered[:, list(self.case.steps)] = True
        return covered & self.valid

    @property
    def lengths(self) -> ndarray | None:
        """The number of steps of each sequence, (B,); None if all have T."""
        return None if self.case.lengths is None else np.array(self.case.lengths)

    @property
    def valid(self) -> ndarray:
        """The (sequence, step) pairs that exist, (B, T) of bool; False past a sequence's end."""
        B, T, _ = self.structure.inputs
        lengths = np.full(B, T) if self.lengths is None else self.lengths
        valid: ndarray = np.arange(T) < lengths[:, None]
        return valid

    @property
    def truncation(self) -> Truncation | None:
        """The truncation of the gradient; None if it is carried all the way back."""
        given = self.case.truncation
        if given == "none":
            return None
        return Detach(given["every"]) if given["kind"] == "detach" else Window(given["steps"])

    @property
    def multiplications(self) -> float:
        """Number of scalar multiplications in the matrix products of the reference's two passes."""
        once = self.structure.multiplications
        truncation = self.truncation
        if not isinstance(truncation, Window):
            return once
        lags = truncation.lags(self.structure.time)
        # With lags, one part in three is repeated for each lag; without lags, two in three are, for each pass.
        by_lags = self.structure.cell == "rnn" and self.lengths is None
        return once * ((2 + lags) if by_lags else (1 + 2 * lags)) / 3

    def loss(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        """Return the case's loss of ``outputs``, of shape (), and its gradient d_outputs, of the shape of outputs.

        Both are computed in NumPy and have the dtype of ``outputs``. ``reference_impls.losses`` has the derivation.

        Raises:
            ValueError: If ``outputs`` does not have the shape of the case's outputs. It could broadcast without an
                error and give a wrong loss.
        """
        loss = self.case.loss
        outputs = np.asarray(outputs)
        if outputs.shape != self.structure.outputs:
            is_state = outputs.shape == (*self.structure.inputs[:2], self.structure.state_width)
            hint = "; the case has a readout, h W_hy + b_y" if is_state and self.structure.output is not None else ""
            wrong = shapes.mistake(outputs.shape, self.structure.outputs)
            raise ValueError(f"the argument of problem.loss {wrong}{hint}")
        value, d_outputs = LOSSES[loss.kind](outputs, self.targets, self.covered, loss.reduction)
        if outputs.dtype.kind == "f" and value.dtype != outputs.dtype:  # the targets' is wider
            return value.astype(outputs.dtype), d_outputs.astype(outputs.dtype)
        return value, d_outputs

    def copy(self) -> Problem:
        """Return the problem with arrays of its own."""
        return replace(
            self,
            weights={name: array.copy() for name, array in self.weights.items()},
            initial_state={name: array.copy() for name, array in self.initial_state.items()},
            inputs=self.inputs.copy(),
            targets=self.targets.copy(),
        )

    def in_layout(self, layout: str) -> Problem:
        """Return a problem in the split layout with its weights in another layout."""
        converted = layouts()[layout].from_canonical(self.weights, self.structure)
        return replace(self, weights=converted, layout=layout)


def build(case: Case, native_weights: NativeWeights) -> Problem:
    """Make the arrays of a case. They are read-only; ``Problem.copy`` has writable ones.

    Args:
        case: A valid case.
        native_weights: The function that returns a framework's own initial weights.
    """
    structure, folder = case.structure, Path(case.file).parent

    def tensors(specs: ArraySpecs, shapes: Mapping[str, Shape]) -> dict[str, ndarray]:
        return {
            name: arrays.make(_spec_of(specs, name), name, shape, case.dtype, folder) for name, shape in shapes.items()
        }

    if isinstance(case.weights, dict) and "from" in case.weights:
        framework, seed = case.weights["from"], case.weights.get("seed", 0)
        weights = dict(native_weights(framework, seed, structure, case.dtype))
    elif isinstance(case.weights, dict) and "checkpoint" in case.weights:
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
