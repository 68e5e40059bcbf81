r"""The gradient of an lstm or a gru without a backward pass: complex perturbation of the forward pass.

As in ``complex_step``, for an analytic f and a tiny h: f'(q) = Im f(q + ih) / h. There one real forward pass is shared
and the imaginary parts are carried by themselves, which takes the slopes of one nonlinearity a step. A gated cell
multiplies what it computes, so here whole complex numbers are carried, many perturbed passes side by side: D of them,
each with one number q + ih in place of q.

Nothing but the formulas of the cells is needed for that, and they are written anew here, step by step. A product with a
weight whose element (i, j) is perturbed is the product without, and in column j the operand's column i besides:

    z (W + ih e_i e_jᵀ) = z W + ih z_i e_jᵀ     (D, B, G·H)

Sequences of a batch do not touch each other, so an input or an initial state is perturbed in all of them at once and
the losses are kept apart by sequence. A truncated gradient is that of a forward pass whose states are constants,
without an imaginary part, where a chunk begins; a window is a sum of such passes (``truncation.passes``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls.activations import ACTIVATIONS, Activation
from reference_impls.complex_step import CHUNK, STEP
from reference_impls.losses import RowLosses
from reference_impls.truncation import Pass, Truncation, passes

SIGMA = ACTIVATIONS["sigmoid"]


class _Moved(NamedTuple):
    """Which element of a tensor is perturbed in each of D passes."""

    name: str
    rows: ndarray  # (D,); zeros for a bias
    columns: ndarray  # (D,)


class _Weights:
    """One layer's weights, or the readout's, of which one is perturbed: another element in each of D passes."""

    def __init__(self, tensors: Mapping[str, ndarray], prefix: str, moved: _Moved | None) -> None:
        self._tensors = {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}
        self._moved = moved if moved is not None and moved.name.startswith(prefix) else None
        self._name = "" if self._moved is None else self._moved.name.removeprefix(prefix)

    def has(self, name: str) -> bool:
        """Whether there is a tensor of this name."""
        return name in self._tensors

    def product(self, z: ndarray, name: str, first: int = 0, last: int | None = None) -> ndarray:
        """Multiply z, (D or 1, B, R), with a weight (R, C), or its columns from ``first`` on and before ``last``."""
        W = self._tensors[name][:, first:last]
        return self._perturbed(z @ W, name, z, first)

    def bias(self, name: str, first: int = 0, last: int | None = None) -> ndarray:
        """Return a bias (C,), or its elements from ``first`` on and before ``last``: (D or 1, 1, C)."""
        b = self._tensors[name][None, None, first:last]
        return self._perturbed(b, name, np.ones((1, 1, 1)), first)

    def _perturbed(self, values: ndarray, name: str, z: ndarray, first: int) -> ndarray:
        """Add what the perturbed elements make of their operand: ih z_i in column j of each pass."""
        if self._moved is None or name != self._name:
            return values
        rows, columns = self._moved.rows, self._moved.columns - first
        _, B, C = values.shape
        values = np.broadcast_to(values, (len(rows), B, C)).astype(np.complex128)  # (D, B, C)
        which = np.flatnonzero((columns >= 0) & (columns < C))
        of_pass = which if len(z) > 1 else np.zeros_like(which)  # where all passes are still the same, there is one
        values[which, :, columns[which]] += 1j * STEP * z[of_pass, :, rows[which]]  # (those, B)
        return values


States = tuple[ndarray, ...]
Step = Callable[[ndarray, States, _Weights, Activation], States]
"""Maps x_t (D or 1, B, I), the states before it (D or 1, B, H), weights and φ to the states after it, h first."""


def _value(activation: Activation, a: ndarray) -> ndarray:
    return activation.value(a, np.empty_like(a))


def _lstm(x: ndarray, states: States, w: _Weights, phi: Activation) -> States:
    h, c = states
    a = w.product(x, "W_xh") + w.product(h, "W_hh") + w.bias("b_h")  # (D, B, 4H)
    i, f, g, o = np.split(a, 4, axis=-1)  # (D, B, H) each
    c = _value(SIGMA, f) * c + _value(SIGMA, i) * _value(phi, g)  # (D, B, H)
    return _value(SIGMA, o) * _value(phi, c), c


def _gru(x: ndarray, states: States, w: _Weights, phi: Activation) -> States:
    (h,) = states
    H = h.shape[-1]
    from_inputs = w.product(x, "W_xh") + w.bias("b_h")  # (D, B, 3H)
    gates = _value(SIGMA, from_inputs[..., : 2 * H] + w.product(h, "W_hh", 0, 2 * H))  # (D, B, 2H)
    r, z = gates[..., :H], gates[..., H:]  # (D, B, H) each
    after = w.has("b_hn")  # otherwise the reset is before the product
    recurrent = r * (w.product(h, "W_hh", 2 * H) + w.bias("b_hn")) if after else w.product(r * h, "W_hh", 2 * H)
    n = _value(phi, from_inputs[..., 2 * H :] + recurrent)  # (D, B, H)
    return ((1 - z) * n + z * h,)


class Cell(NamedTuple):
    """What is to be known of a cell."""

    states: tuple[str, ...]
    step: Step


CELLS = {"lstm": Cell(("h0", "c0"), _lstm), "gru": Cell(("h0",), _gru)}
"""The gated cells. A gru with a ``b_hn`` among its weights resets after the product, one without before."""


class Problem(NamedTuple):
    """A network, its loss, and the real forward pass."""

    cell: Cell
    layers: int
    weights: Mapping[str, ndarray]
    initial_state: Mapping[str, ndarray]
    activation: Activation
    row_losses: RowLosses
    targets: ndarray  # (B, T, O) or (B, T)
    covered: ndarray  # (B, T) of bool
    terms: int
    passes: tuple[Pass, ...]
    read: list[ndarray]  # what each layer reads, and last what the readout reads: (T, B, I or H) each


def forward(
    cell: str,
    weights: Mapping[str, ndarray],
    inputs: ndarray,
    initial_state: Mapping[str, ndarray],
    activation: Activation,
    row_losses: RowLosses,
    targets: ndarray,
    covered: ndarray,
    terms: int,
    truncation: Truncation | None = None,
) -> tuple[ndarray, ndarray, Problem]:
    """Run the real forward pass; return the loss, of shape (), the outputs (B, T, H or O), and what perturbations need.

    Args:
        cell: a key of ``CELLS``.
        weights: split weights, float64.
        inputs: (B, T, I).
        initial_state: ``layerN.h0`` (B, H) for each layer, and an lstm's ``layerN.c0``.
        activation: φ.
        row_losses: ℓ, one of ``ROW_LOSSES``.
        targets: (B, T, O), or labels (B, T).
        covered: which (sequence, step) pairs have a loss, (B, T) of bool.
        terms: what the sum over rows is divided by.
        truncation: how far the gradient is carried back through time; None for all the way.
    """
    chosen, T = CELLS[cell], inputs.shape[1]
    layers = len(initial_state) // len(chosen.states)
    read = [inputs.swapaxes(0, 1)]  # (T, B, I)
    state = Problem(
        chosen,
        layers,
        weights,
        initial_state,
        activation,
        row_losses,
        targets,
        covered,
        terms,
        passes(truncation, T),
        read,
    )
    for n in range(layers):
        read.append(_layer(state, n, read[n][:, None], frozenset(), None, {})[:, 0])  # (T, B, H)
    outputs = _readout(state, read[-1][:, None], None)[:, 0].swapaxes(0, 1)  # (B, T, O)
    loss = row_losses(outputs[covered], targets[covered]).sum() / terms
    return np.asarray(loss), outputs, state


def gradients(state: Problem) -> dict[str, ndarray]:
    """Return the gradient by every element of every tensor, by name."""
    found: dict[str, ndarray] = {}
    for name, tensor in state.weights.items():
        at = np.indices(tensor.shape).reshape(tensor.ndim, -1)  # (1 or 2, elements)
        rows = at[0] if tensor.ndim == 2 else np.zeros_like(at[0])
        found[name] = of_weight(state, name, rows, at[-1]).reshape(tensor.shape)
    for name, tensor in state.initial_state.items():
        found[name] = of_initial_state(state, name, np.arange(tensor.shape[1]))  # (B, H)
    T, B, I = state.read[0].shape
    steps, columns = np.indices((T, I)).reshape(2, -1)  # (T·I,) each
    found["inputs"] = of_inputs(state, steps, columns).reshape(B, T, I)
    return found


def of_weight(state: Problem, name: str, rows: ndarray, columns: ndarray) -> ndarray:
    """Return the gradient by some elements (D,) of a weight; of a bias, the rows do not matter: (D,)."""
    n = state.layers if name.startswith("readout.") else _layer_of(name)
    found = np.empty(len(rows))  # (D,)
    for chunk in _chunks(state, len(rows)):
        moved = _Moved(name, rows[chunk], columns[chunk])
        found[chunk] = _answers(state, n, state.read[n][:, None], moved, {}).sum(axis=1)
    return found


def of_initial_state(state: Problem, name: str, units: ndarray) -> ndarray:
    """Return the gradient by some units (D,) of an initial state, in every sequence: (B, D)."""
    n, tensor = _layer_of(name), state.initial_state[name]
    found = np.empty((len(tensor), len(units)))  # (B, D)
    for chunk in _chunks(state, len(units)):
        D = len(units[chunk])
        start = np.repeat(tensor[None], D, axis=0).astype(np.complex128)  # (D, B, H)
        start[np.arange(D), :, units[chunk]] += 1j * STEP
        found[:, chunk] = _answers(state, n, state.read[n][:, None], None, {name: start}).T
    return found


def of_inputs(state: Problem, steps: ndarray, columns: ndarray) -> ndarray:
    """Return the gradient by the inputs at some steps and columns, (D,) each, in every sequence: (B, D)."""
    x = state.read[0]  # (T, B, I)
    found = np.empty((x.shape[1], len(steps)))  # (B, D)
    for chunk in _chunks(state, len(steps)):
        D = len(steps[chunk])
        moved = np.repeat(x[:, None], D, axis=1).astype(np.complex128)  # (T, D, B, I)
        moved[steps[chunk], np.arange(D), :, columns[chunk]] += 1j * STEP
        found[:, chunk] = _answers(state, 0, moved, None, {}).T
    return found


def _layer_of(name: str) -> int:
    return int(name.partition(".")[0].removeprefix("layer"))


def _chunks(state: Problem, count: int) -> list[slice]:
    B, widest = state.covered.shape[0], max(each.shape[-1] for each in state.weights.values())
    at_once = max(1, CHUNK // (B * widest))
    return [slice(first, min(first + at_once, count)) for first in range(0, count, at_once)]


def _answers(state: Problem, n: int, x: ndarray, moved: _Moved | None, start: Mapping[str, ndarray]) -> ndarray:
    """Im of each sequence's loss / h in each pass: (D, B), from what layer n reads, x (T, D or 1, B, I or H)."""
    B = len(state.covered)
    total = np.zeros((1, B))  # (D, B)
    for each in state.passes:
        y = x
        for m in range(n, state.layers):
            y = _layer(state, m, y, each.starts, moved, start)  # (T, D, B, H)
        y = _readout(state, y, moved).transpose(1, 2, 0, 3)  # (D, B, T, O)
        rows = state.covered & each.counted  # (B, T)
        of_rows, wanted = y[:, rows], state.targets[rows]  # (D, N, O), (N, O) or (N,)
        D, N, O = of_rows.shape
        wanted = np.broadcast_to(wanted, (D, *wanted.shape)).reshape(D * N, *wanted.shape[1:])  # (D·N, O) or (D·N,)
        losses = state.row_losses(of_rows.reshape(D * N, O), wanted).reshape(D, N)
        of_sequence = np.nonzero(rows)[0][:, None] == np.arange(B)  # (N, B)
        total = total + losses.imag @ of_sequence  # (D, B)
    return total / STEP / state.terms


def _layer(
    state: Problem,
    n: int,
    x: ndarray,
    starts: frozenset[int],
    moved: _Moved | None,
    start: Mapping[str, ndarray],
) -> ndarray:
    """The hidden states of layer n after each step, (T, D or 1, B, H), from what it reads, x (T, D or 1, B, I or H)."""
    weights = _Weights(state.weights, f"layer{n}.", moved)
    names = [f"layer{n}.{name}" for name in state.cell.states]
    states = tuple(start.get(name, state.initial_state[name][None]) for name in names)  # (D or 1, B, H) each
    found = []
    for t, of_step in enumerate(x):
        if t in starts:
            states = tuple(each.real for each in states)  # constants
        states = state.cell.step(of_step, states, weights, state.activation)
        found.append(states[0])
    return np.stack(np.broadcast_arrays(*found))  # before what is perturbed, there is one pass for all


def _readout(state: Problem, y: ndarray, moved: _Moved | None) -> ndarray:
    """The outputs (T, D or 1, B, O) from the last layer's states (T, D or 1, B, H)."""
    if "readout.W_hy" not in state.weights:
        return y
    weights = _Weights(state.weights, "readout.", moved)
    return np.stack([weights.product(of_step, "W_hy") + weights.bias("b_y") for of_step in y])


def work_of_one(T: int, B: int, I: int, H: int, gates: int, O: int, layers: int) -> float:
    """Return how many multiplications one perturbed pass takes at most; one of complex numbers is four."""
    of_layers = [gates * H * ((I if n == 0 else H) + H) for n in range(layers)]
    return 4.0 * T * B * (sum(of_layers) + H * O)
