r"""The gradient of any network without a backward pass: complex perturbation of the forward pass.

As in ``complex_step``, for an analytic f and a tiny h: f'(q) = Im f(q + ih) / h. ``complex_step`` shares one real
forward pass and carries the imaginary parts alone, which requires one nonlinearity per step and one direction of time.
A gated cell multiplies its own intermediate values, so this module carries whole complex numbers. It runs D perturbed
passes side by side, each with one number q + ih in place of q.

This needs only the formulas of the cells, which are written anew here, step by step. A product with a weight whose
element (i, j) is perturbed is the unperturbed product, plus the operand's column i in column j:

    z (W + ih e_i e_jᵀ) = z W + ih z_i e_jᵀ     (D, B, G·H)

The sequences of a batch are independent, so an input or an initial state is perturbed in all of them at once and the
losses are kept apart by sequence. A truncated gradient is that of a forward pass whose states are constants, without an
imaginary part, at the beginning of each chunk. A window is a sum of such passes (``truncation.passes``).

A bidirectional layer also runs from the last step to the first. Sequences of unequal length stay in one batch: after a
sequence's end (in the backward direction, before its beginning), its state does not change and its output is zero. That
is ``bidirectional`` and ``lengths`` in another way.
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
    """The element of a tensor that is perturbed in each of D passes."""

    name: str
    rows: ndarray  # (D,); zeros for a bias
    columns: ndarray  # (D,)


class _Weights:
    """The weights of a layer or of the readout; one tensor is perturbed, in another element in each of D passes."""

    def __init__(self, tensors: Mapping[str, ndarray], prefix: str, moved: _Moved | None) -> None:
        self._tensors = {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}
        self._moved = moved if moved is not None and moved.name.startswith(prefix) else None
        self._name = "" if self._moved is None else self._moved.name.removeprefix(prefix)

    def has(self, name: str) -> bool:
        """Return whether a tensor has this name."""
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
        """Add the effect of the perturbed elements on their operand: ih z_i in column j of each pass."""
        if self._moved is None or name != self._name:
            return values
        rows, columns = self._moved.rows, self._moved.columns - first
        _, B, C = values.shape
        values = np.broadcast_to(values, (len(rows), B, C)).astype(np.complex128)  # (D, B, C)
        which = np.flatnonzero((columns >= 0) & (columns < C))
        of_pass = which if len(z) > 1 else np.zeros_like(which)  # passes that are still the same are one
        values[which, :, columns[which]] += 1j * STEP * z[of_pass, :, rows[which]]  # (those, B)
        return values


REVERSE = "reverse."
States = tuple[ndarray, ...]
Step = Callable[[ndarray, States, _Weights, Activation], States]
"""A function from x_t (D or 1, B, I), states before it (D or 1, B, H), weights and φ to the next states, h first."""


def _value(activation: Activation, a: ndarray) -> ndarray:
    return activation.value(a, np.empty_like(a))


def _rnn(x: ndarray, states: States, w: _Weights, phi: Activation) -> States:
    (h,) = states
    return (_value(phi, w.product(x, "W_xh") + w.product(h, "W_hh") + w.bias("b_h")),)  # (D, B, H)


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


class SteppedCell(NamedTuple):
    """A cell: the names of its states, and one step."""

    states: tuple[str, ...]
    step: Step


CELLS = {"rnn": SteppedCell(("h0",), _rnn), "lstm": SteppedCell(("h0", "c0"), _lstm), "gru": SteppedCell(("h0",), _gru)}
"""The cells. A gru with a weight ``b_hn`` has its reset after the product, and one without it before."""


class GatedProblem(NamedTuple):
    """A network, its loss, and the real forward pass."""

    cell: SteppedCell
    layers: int
    weights: Mapping[str, ndarray]
    initial_state: Mapping[str, ndarray]
    activation: Activation
    row_losses: RowLosses
    targets: ndarray  # (B, T, O) or (B, T)
    covered: ndarray  # (B, T) of bool
    terms: int
    passes: tuple[Pass, ...]
    valid: ndarray  # (B, T) of bool: the steps of each sequence
    read: list[ndarray]  # the inputs of each layer, and last those of the readout: (T, B, I or D·H) each

    @property
    def directions(self) -> tuple[str, ...]:
        """The beginning of each direction's names, after the layer's."""
        return ("", REVERSE) if f"layer0.{REVERSE}W_xh" in self.weights else ("",)


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
    lengths: ndarray | None = None,
) -> tuple[ndarray, ndarray, GatedProblem]:
    """Run the real forward pass; return the loss, of shape (), the outputs (B, T, H or O), and the state to perturb.

    Args:
        cell: A key of ``CELLS``.
        weights: Split weights, float64.
        inputs: (B, T, I).
        initial_state: ``layerN.h0`` (B, H) for each layer; also ``layerN.c0`` for an lstm, and ``layerN.reverse.h0``
            for a bidirectional layer.
        activation: φ.
        row_losses: ℓ, one of ``ROW_LOSSES``.
        targets: (B, T, O), or labels (B, T).
        covered: The (sequence, step) pairs that have a loss, (B, T) of bool.
        terms: The divisor of the sum over rows.
        truncation: The truncation of the gradient in time; None for the full gradient.
        lengths: The number of steps of each sequence, (B,); None if all have T.
    """
    chosen, (B, T, _) = CELLS[cell], inputs.shape
    layers = 1 + max(map(_layer_of, initial_state))
    valid = np.arange(T) < (np.full(B, T) if lengths is None else lengths)[:, None]  # (B, T)
    read = [inputs.swapaxes(0, 1)]  # (T, B, I)
    state = GatedProblem(
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
        valid,
        read,
    )
    for n in range(layers):
        read.append(_layer(state, n, read[n][:, None], frozenset(), None, {})[:, 0])  # (T, B, H)
    outputs = _readout(state, read[-1][:, None], None)[:, 0].swapaxes(0, 1)  # (B, T, O)
    loss = row_losses(outputs[covered], targets[covered]).sum() / terms
    return np.asarray(loss), outputs, state


def gradients(state: GatedProblem) -> dict[str, ndarray]:
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


def of_weight(state: GatedProblem, name: str, rows: ndarray, columns: ndarray) -> ndarray:
    """Return the gradient by some elements (D,) of a weight; of a bias, with rows of 0: (D,)."""
    n = state.layers if name.startswith("readout.") else _layer_of(name)
    found = np.empty(len(rows))  # (D,)
    for chunk in _chunks(state, len(rows)):
        moved = _Moved(name, rows[chunk], columns[chunk])
        found[chunk] = _answers(state, n, state.read[n][:, None], moved, {}).sum(axis=1)
    return found


def of_initial_state(state: GatedProblem, name: str, units: ndarray) -> ndarray:
    """Return the gradient by some units (D,) of an initial state, in every sequence: (B, D)."""
    n, tensor = _layer_of(name), state.initial_state[name]
    found = np.empty((len(tensor), len(units)))  # (B, D)
    for chunk in _chunks(state, len(units)):
        D = len(units[chunk])
        start = np.repeat(tensor[None], D, axis=0).astype(np.complex128)  # (D, B, H)
        start[np.arange(D), :, units[chunk]] += 1j * STEP
        found[:, chunk] = _answers(state, n, state.read[n][:, None], None, {name: start}).T
    return found


def of_inputs(state: GatedProblem, steps: ndarray, columns: ndarray) -> ndarray:
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


def _chunks(state: GatedProblem, count: int) -> list[slice]:
    B, widest = state.covered.shape[0], max(each.shape[-1] for each in state.weights.values())
    at_once = max(1, CHUNK // (B * widest))
    return [slice(first, min(first + at_once, count)) for first in range(0, count, at_once)]


def _answers(state: GatedProblem, n: int, x: ndarray, moved: _Moved | None, start: Mapping[str, ndarray]) -> ndarray:
    """Return Im of each sequence's loss / h in each pass, (D, B), from layer n's input x (T, D or 1, B, I or H)."""
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
    state: GatedProblem,
    n: int,
    x: ndarray,
    starts: frozenset[int],
    moved: _Moved | None,
    start: Mapping[str, ndarray],
) -> ndarray:
    """Return the hidden states of layer n after each step, the directions side by side, (T, D or 1, B, H or 2H).

    The layer reads x, (T, D or 1, B, I or H or 2H).
    """
    ways = [_direction(state, f"layer{n}.{way}", x, starts, moved, start) for way in state.directions]
    passes = max(len(of_step) for steps in ways for of_step in steps)  # one for all before the perturbation
    joined = [np.broadcast_to(np.stack(np.broadcast_arrays(*steps)), _many(steps, passes)) for steps in ways]
    return np.concatenate(joined, axis=-1)


def _many(steps: list[ndarray], passes: int) -> tuple[int, ...]:
    return (len(steps), passes, *steps[0].shape[1:])


def _direction(
    state: GatedProblem,
    prefix: str,
    x: ndarray,
    starts: frozenset[int],
    moved: _Moved | None,
    start: Mapping[str, ndarray],
) -> list[ndarray]:
    """Return the hidden states of one direction of a layer after each step, (D or 1, B, H) each; zero past an end."""
    weights = _Weights(state.weights, prefix, moved)
    names = [f"{prefix}{name}" for name in state.cell.states]
    states = tuple(start.get(name, state.initial_state[name][None]) for name in names)  # (D or 1, B, H) each
    found = [states[0]] * len(x)
    steps = range(len(x))
    for t in reversed(steps) if prefix.endswith(REVERSE) else steps:
        if t in starts:
            states = tuple(each.real for each in states)  # constants
        after = state.cell.step(x[t], states, weights, state.activation)
        valid = state.valid[:, t, None]  # (B, 1)
        states = tuple(np.where(valid, new, old) for new, old in zip(after, states, strict=True))
        found[t] = np.where(valid, states[0], 0)
    return found


def _readout(state: GatedProblem, y: ndarray, moved: _Moved | None) -> ndarray:
    """Return the outputs (T, D or 1, B, O) from the last layer's states (T, D or 1, B, H)."""
    if "readout.W_hy" not in state.weights:
        return y
    weights = _Weights(state.weights, "readout.", moved)
    read = [weights.product(of_step, "W_hy") + weights.bias("b_y") for of_step in y]  # (D or 1, B, O) each
    return np.where(state.valid.T[:, None, :, None], np.stack(read), 0)


def along(state: GatedProblem, direction: Mapping[str, ndarray]) -> float:
    """Return the derivative of the loss along a direction in the space of all weights, initial states and inputs.

    Args:
        state: The real forward pass.
        direction: v by name: each weight, each initial state and ``inputs``, of their shapes.
    """

    def moved(name: str, array: ndarray) -> ndarray:
        return array + 1j * STEP * direction[name]

    everything = state._replace(
        weights={name: moved(name, array) for name, array in state.weights.items()},
        initial_state={name: moved(name, array) for name, array in state.initial_state.items()},
    )
    x = moved("inputs", state.read[0].swapaxes(0, 1)).swapaxes(0, 1)  # (T, B, I)
    return float(_answers(everything, 0, x[:, None], None, {}).sum())


def work_of_one(T: int, B: int, I: int, H: int, gates: int, O: int, layers: int, directions: int = 1) -> float:
    """Return the maximum number of multiplications of one perturbed pass; one of complex numbers counts as four."""
    width = directions * H
    of_layers = [gates * width * ((I if n == 0 else width) + H) for n in range(layers)]
    return 4.0 * T * B * (sum(of_layers) + width * O)
