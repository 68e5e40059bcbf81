"""A problem: a case made concrete. Every array exists; what is left is to compute with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from harness.case.fields import Case
from harness.layout import layouts
from harness.tensors import Structure, shapes
from reference_impls.losses import LOSSES
from reference_impls.truncation import Detach, Truncation, Window

NativeWeights = Callable[[str, int, Structure, str], Mapping[str, ndarray]]
"""Maps a framework, a seed, a structure and a dtype to that framework's own initial weights, in the split layout."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What an implementation is given.

    Attributes:
        case: the case: its sizes, activation, loss and so on.
        weights: weights, biases and readout, by name, in the layout that the implementation asked for.
        initial_state: ``layerN.h0`` (B, H) by name, and ``layerN.c0`` (B, H) of an lstm; of a bidirectional layer
            ``layerN.reverse.h0``, too.
        inputs: (B, T, I).
        targets: of the shape of the outputs for squared_error; labels (B, T) for softmax_cross_entropy; for dot the
            upstream gradient, of the shape of the outputs.
        layout: the layout of ``weights``.
    """

    case: Case
    weights: Mapping[str, ndarray]
    initial_state: Mapping[str, ndarray]
    inputs: ndarray
    targets: ndarray
    layout: str = "split"

    @property
    def structure(self) -> Structure:
        """Which tensors there are, and their shapes."""
        return self.case.structure

    @property
    def arrays(self) -> dict[str, ndarray]:
        """Every array that a gradient is taken by, under the name of the gradient."""
        return {**self.weights, **self.initial_state, "inputs": self.inputs}

    @property
    def spelled(self) -> dict[str, ndarray]:
        """Every array under the expression that gives it in code, ``problem.weights['layer0.W_xh']`` for one."""
        held = {"weights": self.weights, "initial_state": self.initial_state}
        by_name = {f"problem.{kind}[{name!r}]": each for kind, arrays in held.items() for name, each in arrays.items()}
        return {**by_name, "problem.inputs": self.inputs, "problem.targets": self.targets}

    @property
    def upstream(self) -> ndarray:
        """For the loss dot: the gradient of the outputs. The same array as ``targets``."""
        return self.targets

    @property
    def covered(self) -> ndarray:
        """Which (sequence, step) pairs have a loss: (B, T) of bool. None past a sequence's end."""
        covered = np.zeros(self.structure.inputs[:2], np.bool_)  # (B, T)
        covered[:, list(self.case.steps)] = True
        return covered & self.valid

    @property
    def lengths(self) -> ndarray | None:
        """How many steps each sequence has, (B,); None if all have T."""
        return None if self.case.lengths is None else np.array(self.case.lengths)

    @property
    def valid(self) -> ndarray:
        """Which (sequence, step) pairs there are: (B, T) of bool, False past a sequence's end."""
        B, T, _ = self.structure.inputs
        lengths = np.full(B, T) if self.lengths is None else self.lengths
        valid: ndarray = np.arange(T) < lengths[:, None]
        return valid

    @property
    def truncation(self) -> Truncation | None:
        """How far the gradient is carried back through time; None for all the way."""
        given = self.case.truncation
        if given == "none":
            return None
        return Detach(given["every"]) if given["kind"] == "detach" else Window(given["steps"])

    @property
    def multiplications(self) -> float:
        """How many multiplications of numbers the reference's two passes take in their matrix products."""
        once = self.structure.multiplications
        truncation = self.truncation
        if not isinstance(truncation, Window):
            return once
        lags = truncation.lags(self.structure.time)
        # Of three parts, one is done for each lag; without lags, two for each of as many passes.
        by_lags = self.structure.cell == "rnn" and self.lengths is None
        return once * ((2 + lags) if by_lags else (1 + 2 * lags)) / 3

    def loss(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        """Return the case's loss of ``outputs``, of shape (), and its gradient d_outputs, of the shape of outputs.

        In NumPy, returned in the dtype of ``outputs``. The derivation stands in ``reference_impls.losses``.

        Raises:
            ValueError: if ``outputs`` has another shape than the case's outputs; numbers may broadcast where they
                should not, and the loss would be of something else.
        """
        loss = self.case.loss
        outputs = np.asarray(outputs)
        if outputs.shape != self.structure.outputs:
            is_state = outputs.shape == (*self.structure.inputs[:2], self.structure.state_width)
            hint = "; the case has a readout, h W_hy + b_y" if is_state and self.structure.output is not None else ""
            wrong = shapes.mistake(outputs.shape, self.structure.outputs)
            raise ValueError(f"what problem.loss was given {wrong}{hint}")
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

    def as_dtype(self, dtype: DTypeLike) -> Problem:
        """Return the problem with every number in another dtype; labels stay as they are."""

        def changed(array: ndarray) -> ndarray:
            return array.astype(dtype) if array.dtype.kind == "f" else array

        return replace(
            self,
            weights={name: changed(array) for name, array in self.weights.items()},
            initial_state={name: changed(array) for name, array in self.initial_state.items()},
            inputs=changed(self.inputs),
            targets=changed(self.targets),
        )

    def in_layout(self, layout: str) -> Problem:
        """Return the problem with its weights, which must be in the split layout, in another."""
        converted = layouts()[layout].from_canonical(self.weights, self.structure)
        return replace(self, weights=converted, layout=layout)
