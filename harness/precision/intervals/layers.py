r"""One vanilla recurrent layer in ball arithmetic: the formulas of ``reference_impls.rnn_split``, written anew.

    a_t = x_t W_xh + h_{t-1} W_hh + b_h        h_t = φ(a_t)
    δ_t = (g_t + δ_{t+1} W_hhᵀ) ⊙ φ'(a_t)      dW_xh = Σ_t x_tᵀ δ_t,  dW_hh = Σ_t h_{t-1}ᵀ δ_t,  db_h = Σ_t Σ_B δ_t

Products are matrices of intervals, ``arb_mat``. Everything elementwise is a flat list of intervals, row by row, time
first: the element (t, b, j) of a tensor (T, B, H) stands at (t·B + b)·H + j.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import NamedTuple

from flint import arb, arb_mat

from harness.derive.balls import UndecidedError

Activation = Callable[[arb], tuple[arb, arb]]
"""Maps a to φ(a) and φ'(a)."""

ZERO, ONE = arb(0), arb(1)


def _tanh(a: arb) -> tuple[arb, arb]:
    h = a.tanh()
    return h, ONE - h * h


def _sigmoid(a: arb) -> tuple[arb, arb]:
    h = ONE / (ONE + (-a).exp())
    return h, h * (ONE - h)


def _relu(a: arb) -> tuple[arb, arb]:
    # A comparison of intervals holds only if it holds for all numbers in them.
    if a > 0:
        return a, ONE
    if a <= 0:
        return ZERO, ZERO
    raise UndecidedError("do not decide on which side of relu's kink a pre-activation is")


def _identity(a: arb) -> tuple[arb, arb]:
    return a, ONE


ACTIVATIONS: dict[str, Activation] = {"tanh": _tanh, "sigmoid": _sigmoid, "relu": _relu, "identity": _identity}
"""Every activation by its name in case files."""


class Passed(NamedTuple):
    """A layer's forward pass."""

    x: arb_mat  # (T·B, I)
    before: arb_mat  # (T·B, H): h_0, …, h_{T-1}
    states: list[arb]  # T·B·H: h_1, …, h_T
    slopes: list[arb]  # T·B·H: φ'(a_1), …, φ'(a_T)


def forward(
    x: arb_mat, h0: list[arb], W_xh: arb_mat, W_hh: arb_mat, b_h: list[arb], batch: int, activation: Activation
) -> Passed:
    """Run the layer over x, (T·B, I), from h0, B·H intervals."""
    H = len(b_h)
    size = batch * H
    from_inputs = (x * W_xh).entries()  # T·B·H
    biases = b_h * batch  # B·H
    states = list(h0)  # (T + 1)·B·H, growing
    slopes: list[arb] = []
    for start in range(0, len(from_inputs), size):
        recurrent = (arb_mat(batch, H, states[start:]) * W_hh).entries()  # B·H
        pre = (a + r + b for a, r, b in zip(from_inputs[start : start + size], recurrent, biases, strict=True))
        for value, slope in map(activation, pre):
            states.append(value)
            slopes.append(slope)
    before = arb_mat(x.nrows(), H, states[:-size])  # (T·B, H)
    return Passed(x, before, states[size:], slopes)


def backward(
    passed: Passed, d_states: list[arb], W_xh: arb_mat, W_hh: arb_mat, batch: int, starts: Container[int] = ()
) -> tuple[arb_mat, list[arb], dict[str, list[arb]]]:
    """Carry g, T·B·H intervals, back: return d_x (T·B, I), d_h0 (B·H intervals), and the weights' gradients by name.

    Nothing is carried from a step in ``starts`` to the step before it.
    """
    rows, H = passed.x.nrows(), W_hh.nrows()
    size = batch * H
    W_hhT = W_hh.transpose()  # (H, H)
    deltas: list[arb] = [ZERO] * len(d_states)  # T·B·H
    later = [ZERO] * size  # B·H: δ_{t+1} W_hhᵀ
    for start in reversed(range(0, len(d_states), size)):
        at = slice(start, start + size)
        deltas[at] = [(g + d) * s for g, d, s in zip(d_states[at], later, passed.slopes[at], strict=True)]
        later = (arb_mat(batch, H, deltas[at]) * W_hhT).entries()  # B·H
        if start // size in starts:
            later = [ZERO] * size  # B·H
    delta = arb_mat(rows, H, deltas)  # (T·B, H)
    gradients = {
        "W_xh": (passed.x.transpose() * delta).entries(),  # I·H
        "W_hh": (passed.before.transpose() * delta).entries(),  # H·H
        "b_h": sum_of_rows(delta),  # H
    }
    return delta * W_xh.transpose(), later, gradients


def sum_of_rows(matrix: arb_mat) -> list[arb]:
    """Return the sum of a matrix's rows."""
    return (arb_mat(1, matrix.nrows(), [ONE] * matrix.nrows()) * matrix).entries()
