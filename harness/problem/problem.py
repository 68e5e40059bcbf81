"""A problem: a case with all of its arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from harness.case.fields import ValidCase
from harness.layout import layout_named
from harness.problem.live import is_live, joined, numbers_of
from harness.problem.memory import strided
from harness.tensors import Shape, Structure, shapes
from reference_impls.losses import LOSSES
from reference_impls.truncation import Detach, Truncation, Window

if TYPE_CHECKING:
    from harness.derive.network import NetworkArrays
    from harness.derive.stepping import Calculation
    from harness.recurrences import Recurrence

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
        inputs: The inputs, (B, T, I). If a recurrence has several, or a context that every step reads, arrays by name.
        targets: For squared_error, the targets, of the shape of the outputs; for softmax_cross_entropy, labels (B, T);
            for dot, the upstream gradient, of the shape of the outputs.
        layout: The layout of ``weights``.
        recurrence: The recurrence of every layer; None for rnn, lstm and gru.
    """

    case: ValidCase
    weights: Mapping[str, ndarray]
    initial_state: Mapping[str, ndarray]
    inputs: ndarray
    targets: ndarray
    layout: str = "split"
    recurrence: Recurrence | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        from harness.problem.shown import in_words

        return f"<Problem: {self.case.name}, {in_words(self)}>"

    def _repr_html_(self) -> str:
        from harness.problem.shown import html_of

        return html_of(self)

    @property
    def structure(self) -> Structure:
        """The network's tensors and their shapes."""
        return self.case.structure

    @property
    def arrays(self) -> dict[str, ndarray]:
        """Every array that a gradient is taken by, under the name of the gradient, and every input that is held."""
        return {**self.weights, **self.initial_state, **self.gradients_of_inputs}

    @property
    def gradients_of_inputs(self) -> dict[str, ndarray]:
        """Every input under the name that its gradient has, or would have."""
        if self.recurrence is None:
            return {"inputs": self.inputs}
        names = self.recurrence.in_network
        by_name = self.by_name.get("inputs") or {str(self.recurrence.fed): self.inputs}
        return {names[name]: each for name, each in by_name.items()}

    @property
    def by_name(self) -> dict[str, Mapping[str, ndarray]]:
        """The attributes that hold arrays by name."""
        held: dict[str, Any] = {"weights": self.weights, "inputs": self.inputs, "initial_state": self.initial_state}
        return {kind: arrays for kind, arrays in held.items() if isinstance(arrays, Mapping)}

    @property
    def spelled(self) -> dict[str, ndarray]:
        """Every array under the expression that gives it in code, ``problem.weights['layer0.W_xh']`` for one."""
        found = {
            f"problem.{kind}[{name!r}]": each for kind, arrays in self.by_name.items() for name, each in arrays.items()
        }
        found |= {} if "inputs" in self.by_name else {"problem.inputs": self.inputs}
        return {**found, "problem.targets": self.targets}

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
    def network(self) -> NetworkArrays:
        """The network and its arrays, for the routes of ``harness.derive``; the weights in the split layout."""
        from harness.derive.network import Architecture, NetworkArrays, recurrence_of  # with the steps of the library

        structure, covered, loss = self.structure, self.covered, self.case.loss
        step = self.recurrence or recurrence_of(structure)
        network = Architecture(structure, step, self.case.activation, self.truncation, loss.kind, loss.reduction)
        targets = self.targets.reshape(*covered.shape, -1)  # (B, T, O), or (B, T, 1) for labels
        if loss.kind == "softmax_cross_entropy":
            targets = targets == np.arange(structure.outputs[2])
        targets = np.where(covered[:, :, None], targets, targets.dtype.type(0))  # (B, T, O)
        valid = None if self.lengths is None else self.valid
        leaves, constant = self.arrays, frozenset({*structure.absent, *structure.held})
        dtype = next(iter(leaves.values())).dtype
        leaves |= {name: np.zeros(shape, dtype) for name, shape in structure.absent.items()}
        return NetworkArrays(network, leaves, targets, covered, valid, constant)

    @property
    def calculation(self) -> Calculation:
        """The loss of the arrays, for every namespace; the weights in the split layout."""
        return self.network

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

        Both are computed in NumPy and have the dtype of ``outputs``. ``reference_impls.losses`` has the derivation. For
        a tensor of torch that requires a gradient, both are such tensors, and ``loss.backward()`` works, too. Where the
        loss covers the last step alone, ``outputs`` may be those of that step, (B, O).

        Raises:
            ValueError: If ``outputs`` does not have the shape of the case's outputs. It could broadcast without an
                error and give a wrong loss.
            TypeError: If ``outputs`` has no numbers yet, as in traced code.
        """
        if is_live(outputs):
            return joined(outputs, *self.loss(numbers_of(outputs)))
        loss = self.case.loss
        outputs = numbers_of(outputs)
        if self.is_last_step(outputs.shape):
            value, d_whole = self.loss(self.in_last_step(outputs))
            return value, d_whole[:, -1]
        if outputs.shape != self.structure.outputs:
            is_state = outputs.shape == (*self.structure.inputs[:2], self.structure.state_width)
            hint = "; the case has a readout, h W_hy + b_y" if is_state and self.structure.output is not None else ""
            if outputs.ndim == 2 and self.structure.time > 1:
                hint = (
                    hint or "; the case's loss covers other steps than the last one, so give the outputs of all steps"
                )
            wrong = shapes.mistake(outputs.shape, self.structure.outputs)
            raise ValueError(f"the argument of problem.loss {wrong}{hint}")
        rows, targets = outputs, self.targets
        if outputs.ndim != 3:  # the elements of an output in a row
            rows, targets = (each.reshape(*self.covered.shape, -1) for each in (outputs, targets))  # (B, T, O) each
        value, d_outputs = LOSSES[loss.kind](rows, targets, self.covered, loss.reduction)
        d_outputs = d_outputs.reshape(outputs.shape)  # (B, T, …)
        if outputs.dtype.kind == "f" and value.dtype != outputs.dtype:  # the targets' is wider
            return value.astype(outputs.dtype), d_outputs.astype(outputs.dtype)
        return value, d_outputs

    def is_last_step(self, shape: Shape) -> bool:
        """Return whether a shape is that of the last step's outputs, (B, O), and the loss covers that step alone."""
        B, T, *O = self.structure.outputs
        return tuple(shape) == (B, *O) and tuple(self.case.steps) == (T - 1,) and self.case.lengths is None

    def in_last_step(self, outputs: ndarray) -> ndarray:
        """Return outputs of all steps, (B, T, O), with those of the last step, (B, O); the others are zero."""
        whole = np.zeros(self.structure.outputs, outputs.dtype)  # (B, T, O)
        whole[:, -1] = outputs
        return whole

    def mapped(self, change: Callable[[ndarray], ndarray]) -> Self:
        """Return the problem with every array changed."""
        changed: dict[str, Any] = {"inputs": None if "inputs" in self.by_name else change(self.inputs)}
        for kind, arrays in self.by_name.items():
            changed[kind] = {name: change(array) for name, array in arrays.items()}
        return replace(self, targets=change(self.targets), **changed)

    def copy(self) -> Self:
        """Return the problem with arrays of its own."""
        return self.mapped(lambda array: np.array(array, order="C"))

    def handed(self) -> Self:
        """Return the problem with arrays of its own, as a candidate receives them: views if the case says so."""
        return self.mapped(strided) if self.case.memory == "strided" else self.copy()

    def as_dtype(self, dtype: DTypeLike) -> Self:
        """Return the problem with every number in another dtype; labels stay as they are."""

        def changed(array: ndarray) -> ndarray:
            return array.astype(dtype) if array.dtype.kind == "f" else array

        return self.mapped(changed)

    def in_layout(self, layout: str) -> Problem:
        """Return a problem in the split layout with its weights in another layout; a recurrence has its own alone."""
        if self.recurrence is not None:
            if layout != "split":
                raise ValueError(f"the recurrence {self.recurrence.name} has no layout {layout!r}; leave `layout` out")
            return self
        converted = layout_named(layout).from_canonical(self.weights, self.structure)
        return replace(self, weights=converted, layout=layout)
