r"""A sample of the gradient from the forward pass alone, for problems whose whole gradient would take too long.

``complex_step`` takes one direction for each number. This module perturbs chosen numbers, and also all numbers at once
along directions v:

    d/dε f(q + εv) = Im f(q + ihv) / h = ⟨∇f, v⟩

One such derivative costs one complex forward pass, and an error anywhere in a gradient changes its inner product with
a random v (Baydin et al. 2022, "Gradients without Backpropagation"). The inner product shows that a gradient is wrong;
the chosen numbers show where.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy import ndarray

from reference_impls import network, rnn_split
from reference_impls.activations import Activation
from reference_impls.complex_step import CHUNK, STEP, Perturbed, responses
from reference_impls.losses import RowLosses
from reference_impls.truncation import Truncation, passes


def of_weights(state: Perturbed, n: int, rows: ndarray, columns: ndarray) -> ndarray:
    """Return the gradient by some of layer n's weights.

    Args:
        state: The real forward pass.
        n: The layer.
        rows: The row of each weight, (D,): its position in z_t = [x_t, h_{t-1}, 1], for W_xh above W_hh above b_h.
        columns: The column of each weight, (D,): its unit.

    Returns:
        (D,).
    """
    layer = state.layers[n]
    (_, B, _), H = layer.z.shape, layer.W_hh.shape[0]
    found = np.empty(len(rows))  # (D,)
    for chunk in _chunks(len(rows), B * H):
        from_rows, to_columns = rows[chunk], columns[chunk]
        which = np.arange(len(from_rows))

        def add(t: int, a: ndarray, at: ndarray = which, i: ndarray = from_rows, j: ndarray = to_columns) -> None:
            a[:, at, j] += layer.z[t][:, i]  # (B, D)

        found[chunk] = responses(state, n, len(from_rows), add=add).sum(axis=0)
    return found


def of_initial_state(state: Perturbed, n: int, units: ndarray) -> ndarray:
    """Return the gradient by some units (D,) of layer n's initial state, in every sequence: (B, D)."""
    H = state.layers[n].W_hh.shape[0]
    return responses(state, n, len(units), start=np.eye(H)[units])


def of_inputs(state: Perturbed, steps: ndarray, columns: ndarray) -> ndarray:
    """Return the gradient by the inputs at some steps and columns, (D,) each, in every sequence: (B, D)."""
    layer = state.layers[0]
    (_, B, _), H = layer.z.shape, layer.W_hh.shape[0]
    found = np.empty((B, len(steps)))  # (B, D)
    for chunk in _chunks(len(steps), B * H):
        at_steps, at_columns = steps[chunk], columns[chunk]

        def add(t: int, a: ndarray, when: ndarray = at_steps, i: ndarray = at_columns) -> None:
            now = when == t
            a[:, now] += layer.W_xh[i[now]]  # (B, those of this step, H)

        found[:, chunk] = responses(state, 0, len(at_steps), add=add, first_step=int(at_steps.min()))
    return found


def along(
    direction: Mapping[str, ndarray],
    weights: Mapping[str, ndarray],
    inputs: ndarray,
    initial_state: Mapping[str, ndarray],
    activation: Activation,
    row_losses: RowLosses,
    targets: ndarray,
    covered: ndarray,
    terms: int,
    truncation: Truncation | None = None,
) -> float:
    """Return the derivative of the loss along a direction in the space of all weights, initial states and inputs.

    Args:
        direction: v by name: each weight, each initial state and ``inputs``, of their shapes.
        weights: Split weights, float64.
        inputs: (B, T, I).
        initial_state: ``layerN.h0`` (B, H) for each layer.
        activation: φ.
        row_losses: ℓ.
        targets: (B, T, O), or labels (B, T).
        covered: (B, T) of bool.
        terms: The divisor of the sum over rows.
        truncation: The truncation of the gradient in time; None for the full gradient.
    """

    def moved(name: str, array: ndarray) -> ndarray:
        return array + 1j * STEP * direction[name]

    moved_weights = {name: moved(name, array) for name, array in weights.items()}
    moved_inputs = moved("inputs", inputs)  # (B, T, I)
    along = 0.0
    for chunks, counted in passes(truncation, inputs.shape[1]):
        state = {name: moved(name, array) for name, array in initial_state.items()}  # (B, H) each
        for first, last in chunks:
            passed = network.forward(rnn_split, moved_weights, moved_inputs[:, first:last], state, activation)
            state = {  # constants
                f"layer{n}.{name}": each.real + 0j
                for n, cache in enumerate(passed.caches)
                for name, each in zip(rnn_split.STATES, cache.last, strict=True)
            }
            rows = covered[:, first:last] & counted[first:last]  # (B, last - first)
            along += row_losses(passed.outputs[rows], targets[:, first:last][rows]).sum().imag / STEP
    return float(along / terms)


def _chunks(count: int, size: int) -> list[slice]:
    at_once = max(1, CHUNK // size)
    return [slice(first, min(first + at_once, count)) for first in range(0, count, at_once)]
