r"""The gradient of a vanilla RNN without a backward pass: complex perturbation of the forward pass.

For an analytic f and a tiny h,

    f(q + ih) = f(q) + ih f'(q) − h² f''(q)/2 − …     hence     f'(q) = Im f(q + ih) / h

No difference is taken, so nothing cancels, and with h = 1e-100 the neglected terms vanish to the last bit (Squire and
Trapp 1998, "Using complex variables to estimate derivatives of real functions"). Only the forward pass is used, so a
mistake of a backward pass cannot affect the result.

One number at a time would be slow, so many are perturbed at once. The imaginary part is too small to change the real
part. All directions therefore share one real forward pass, and each carries only its imaginary part, in units of h,
written with a dot:

    ȧ_t = ẋ_t W_xh + ḣ_{t-1} W_hh + (the perturbation at this step)       (B, D, H), D directions
    ḣ_t = ȧ_t ⊙ Im φ(a_t + ih) / h                                        (B, D, H)
    ẏ_t = ḣ_t W_hy                                                        (B, D, O)
    L̇   = Σ_t Σ_o ẏ_t ⊙ Im ℓ(y_t + ih e_o) / h                            (B, D), to be summed over B or not

φ and the loss ℓ of one row are evaluated at complex arguments; their derivatives are not written anywhere. Perturbing
the weight from row i to column j of z_t = [x_t, h_{t-1}, 1] adds z_t[i] to ȧ_t[j]. The sequences of a batch are
independent, so an input or an initial state is perturbed in all of them at once and L̇ is kept apart by sequence.

A truncated gradient is not the derivative of this forward pass. It is the derivative of a forward pass in which some
states are constants: at the beginning of a chunk, ḣ_{t-1} is set to zero in every layer. A window is a sum of such
passes (``truncation.passes``), and needs no lags here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls import network, rnn_split
from reference_impls.activations import Activation
from reference_impls.losses import RowLosses
from reference_impls.truncation import Pass, Truncation, passes

STEP = 1e-100
CHUNK = 2**14
"""Number of imaginary parts in one block; a block that fits into a cache is fastest."""


class _Layer(NamedTuple):
    """The values of a layer's real forward pass that the perturbations need."""

    z: ndarray  # (T, B, I + H + 1): [x_t, h_{t-1}, 1]
    slope: ndarray  # (T, B, H): Im φ(a_t + ih) / h
    W_xh: ndarray  # (I, H)
    W_hh: ndarray  # (H, H)


class Perturbed(NamedTuple):
    """A network's real forward pass, and the slope of the loss by the outputs."""

    layers: list[_Layer]
    W_hy: ndarray | None  # (H, O)
    top: ndarray  # (T, B, H): the hidden states of the last layer
    outputs: ndarray  # (B, T, H) or (B, T, O)
    loss_slope: ndarray  # (T, B, O): Im ℓ(y_t + ih e_o) / h
    passes: tuple[Pass, ...]  # L̇ is the sum over these


def gradients(
    weights: Mapping[str, ndarray],
    inputs: ndarray,
    initial_state: Mapping[str, ndarray],
    activation: Activation,
    row_losses: RowLosses,
    targets: ndarray,
    covered: ndarray,
    terms: int,
    truncation: Truncation | None = None,
) -> tuple[ndarray, ndarray, dict[str, ndarray]]:
    """Compute loss, outputs and every gradient from the forward pass alone.

    Args:
        weights: Split weights, as ``network.forward`` takes them, float64.
        inputs: (B, T, I).
        initial_state: ``layerN.h0`` (B, H) for each layer.
        activation: φ, one of ``ACTIVATIONS``.
        row_losses: ℓ, one of ``ROW_LOSSES``.
        targets: (B, T, O), or labels (B, T).
        covered: The (sequence, step) pairs that have a loss, (B, T) of bool.
        terms: The divisor of the sum over rows: 1, or the number of terms for a mean.
        truncation: The truncation of the gradient in time; None for the full gradient.

    Returns:
        The loss of shape (), the outputs (B, T, H) or (B, T, O), and the gradients by name.
    """
    loss, state = perturbed(weights, inputs, initial_state, activation, row_losses, targets, covered, terms, truncation)
    found: dict[str, ndarray] = {}
    for n, layer in enumerate(state.layers):
        I, H = layer.W_xh.shape
        of_rows = _of_weight_rows(state, n)  # (I + H + 1, H)
        found |= {f"layer{n}.W_xh": of_rows[:I], f"layer{n}.W_hh": of_rows[I:-1], f"layer{n}.b_h": of_rows[-1]}
        found[f"layer{n}.h0"] = responses(state, n, H, start=np.eye(H))  # (B, H)
    found["inputs"] = _of_inputs(state)  # (B, T, I)
    return loss, state.outputs, found | of_readout(state)


def perturbed(
    weights: Mapping[str, ndarray],
    inputs: ndarray,
    initial_state: Mapping[str, ndarray],
    activation: Activation,
    row_losses: RowLosses,
    targets: ndarray,
    covered: ndarray,
    terms: int,
    truncation: Truncation | None = None,
) -> tuple[ndarray, Perturbed]:
    """Run the real forward pass; return the loss, of shape (), and the values that perturbations need.

    Args:
        weights: Split weights, float64.
        inputs: (B, T, I).
        initial_state: ``layerN.h0`` (B, H) for each layer.
        activation: φ.
        row_losses: ℓ.
        targets: (B, T, O), or labels (B, T).
        covered: (B, T) of bool.
        terms: The divisor of the sum over rows.
        truncation: The truncation of the gradient in time.
    """
    passed = network.forward(rnn_split, weights, inputs, initial_state, activation)
    rows, wanted = passed.outputs[covered], targets[covered]  # (N, O), (N, O) or (N,)
    loss = row_losses(rows, wanted).sum() / terms  # ()
    slopes = np.stack(
        [_imaginary(lambda q: row_losses(q, wanted), rows, o) for o in range(rows.shape[1])], -1
    )  # (N, O)
    loss_slope = np.zeros_like(passed.outputs)  # (B, T, O)
    loss_slope[covered] = slopes / terms
    return np.asarray(loss), Perturbed(
        layers=[_layer(cache) for cache in passed.caches],
        W_hy=weights.get("readout.W_hy"),
        top=passed.caches[-1].states[1:],
        outputs=passed.outputs,
        loss_slope=np.ascontiguousarray(loss_slope.swapaxes(0, 1)),
        passes=passes(truncation, inputs.shape[1]),
    )


def of_readout(state: Perturbed) -> dict[str, ndarray]:
    """Return the gradients by the readout's weight (H, O) and bias (O,) by name; none if there is no readout."""
    if state.W_hy is None:
        return {}
    # ẏ_t[o] is h_t[i] for the weight from i to o, and 1 for the bias of o.
    return {
        "readout.W_hy": np.einsum("tbi,tbo->io", state.top, state.loss_slope),  # (H, O)
        "readout.b_y": state.loss_slope.sum(axis=(0, 1)),  # (O,)
    }


def _imaginary(function: Callable[[ndarray], ndarray], rows: ndarray, o: int) -> ndarray:
    """Return Im function(rows + ih e_o) / h: (N,)."""
    perturbed = rows.astype(np.complex128)
    perturbed[:, o] += 1j * STEP
    return function(perturbed).imag / STEP


def _layer(cache: rnn_split.RnnSplitCache) -> _Layer:
    T, B, _ = cache.x.shape
    before = cache.states[:-1]  # (T, B, H)
    z = np.concatenate([cache.x, before, np.ones((T, B, 1))], axis=-1)  # (T, B, I + H + 1)
    pre = cache.pre + 1j * STEP  # (T, B, H): a_t + ih
    slope = cache.activation.value(pre, np.empty_like(pre)).imag / STEP  # (T, B, H)
    return _Layer(z, slope, cache.W_xh, cache.W_hh)


def _of_weight_rows(state: Perturbed, n: int) -> ndarray:
    """Return the gradient by layer n's weights from each number of z_t = [x_t, h_{t-1}, 1]: (I + H + 1, H)."""
    layer = state.layers[n]
    (_, B, rows), H = layer.z.shape, layer.W_hh.shape[0]
    at_once = max(1, CHUNK // (H * B * H))
    found = np.empty((rows, H))  # (I + H + 1, H)
    for first in range(0, rows, at_once):
        chunk = slice(first, min(first + at_once, rows))
        count = chunk.stop - chunk.start

        def add(t: int, a: ndarray, chunk: slice = chunk, count: int = count) -> None:
            # Direction (i, j) adds z_t[i] to column j of ȧ_t: (B, count, H, H), its diagonal over the two H.
            diagonal = np.einsum("bijj->bij", a.reshape(B, count, H, H))
            diagonal += layer.z[t, :, chunk, None]

        found[chunk] = responses(state, n, count * H, add=add).sum(axis=0).reshape(count, H)
    return found


def _of_inputs(state: Perturbed) -> ndarray:
    """Return the gradient by the inputs: (B, T, I)."""
    layer = state.layers[0]
    T, B, _ = layer.z.shape
    I, H = layer.W_xh.shape
    at_once = max(1, CHUNK // (I * B * H))
    found = np.empty((B, T, I))
    for first in range(0, T, at_once):
        last = min(first + at_once, T)

        def add(t: int, a: ndarray, first: int = first, last: int = last) -> None:
            if first <= t < last:  # direction (t, i) adds row i of W_xh at step t, in every sequence
                a.reshape(B, last - first, I, H)[:, t - first] += layer.W_xh

        answers = responses(state, 0, (last - first) * I, add=add, first_step=first)  # (B, D)
        found[:, first:last] = answers.reshape(B, last - first, I)
    return found


def responses(
    state: Perturbed,
    n: int,
    directions: int,
    *,
    add: Callable[[int, ndarray], None] | None = None,
    start: ndarray | None = None,
    first_step: int = 0,
) -> ndarray:
    """Return L̇ of each sequence and direction, (B, D), for perturbations that enter at layer n.

    Args:
        state: The real forward pass.
        n: The layer.
        directions: D.
        add: A function: ``add(t, a)`` adds the perturbation at step t to ȧ_t, (B, D, H).
        start: ḣ_0 of layer n, (D, H), the same in every sequence; zero unless given.
        first_step: The first step with a perturbation.
    """
    _, B, H = state.layers[n].slope.shape
    layers = state.layers[n:]
    shape = (B, directions, H)
    dots, spare = [np.zeros(shape) for _ in layers], np.empty(shape)  # ḣ of each layer; room for a product
    rows = (B * directions, H)
    answers = np.zeros((B, directions, 1))
    for chunk, t, counts in _steps(state.passes, first_step):
        if t == chunk:
            for dot in dots:
                dot[:] = 0  # ḣ_{t-1}
            if start is not None and t == 0:
                dots[0][:] = start
        for m, layer in enumerate(layers):
            np.matmul(dots[m].reshape(rows), layer.W_hh, out=spare.reshape(rows))  # ȧ_t
            if m > 0:
                spare += (dots[m - 1].reshape(rows) @ layer.W_xh).reshape(shape)
            elif add is not None:
                add(t, spare)
            spare *= layer.slope[t][:, None, :]  # ḣ_t
            dots[m], spare = spare, dots[m]
        if counts and state.loss_slope[t].any():
            y = dots[-1] if state.W_hy is None else (dots[-1].reshape(rows) @ state.W_hy).reshape(*shape[:2], -1)
            answers += y @ state.loss_slope[t][:, :, None]  # (B, D, 1)
    return answers[:, :, 0]


def _steps(passes: tuple[Pass, ...], first_step: int) -> Iterator[tuple[int, int, bool]]:
    """Yield every step of every pass from ``first_step`` on: its chunk's first step, the step, and if it counts."""
    for each in passes:
        for first, last in each.chunks:
            begin = max(first, first_step)  # before it, all is zero
            for t in range(begin, last):
                yield begin, t, bool(each.counted[t])


def work(T: int, B: int, I: int, H: int, O: int, layers: int) -> Iterator[float]:
    """Yield the number of multiplications for each layer's directions, as an estimate before the start."""
    for n in range(layers):
        width = I if n == 0 else H
        directions = (width + H + 1) * H + H + (T * I / 2 if n == 0 else 0)
        yield directions * work_of_one(T, B, H, O, layers - 1 - n)


def work_of_one(T: int, B: int, H: int, O: int, above: int) -> float:
    """Return the number of multiplications for one direction that enters below ``above`` other layers."""
    return T * B * (H * H * (1 + 2 * above) + H * O)
