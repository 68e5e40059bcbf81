"""The reference in mpmath's numbers: more digits than a float64, where nothing faster has them.

``reference_impls`` runs unchanged on NumPy arrays of mpmath's objects; only what NumPy cannot do with objects is given
here: the nonlinearities and the softmax. Slow, and not proven, unlike ``harness.balls``; for small problems.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy import ndarray

from harness.problem import Problem
from harness.reference import activations_of, backward, forward
from reference_impls.activations import ACTIVATIONS, Activation
from reference_impls.losses import LOSSES

BITS = 160


def solve(problem: Problem) -> dict[str, ndarray]:
    """Compute loss, outputs and every gradient with ``BITS`` bits.

    Args:
        problem: in the split layout.

    Returns:
        Arrays of mpmath's numbers, by canonical name.

    Raises:
        ImportError: if mpmath is not installed.
    """
    import mpmath

    with mpmath.workprec(BITS):
        to_numbers = np.frompyfunc(mpmath.mpf, 1, 1)

        def wide(array: ndarray) -> ndarray:
            return np.asarray(to_numbers(array.astype(np.float64)), dtype=object) if array.dtype.kind == "f" else array

        loss = problem.case.loss
        targets = wide(problem.targets)

        def loss_of(outputs: ndarray) -> tuple[ndarray, ndarray]:
            if loss.kind == "softmax_cross_entropy":
                return _softmax_cross_entropy(mpmath, outputs, targets, problem.covered, loss.reduction)
            return LOSSES[loss.kind](outputs, targets, problem.covered, loss.reduction)

        in_wide = replace(
            problem,
            weights={name: wide(array) for name, array in problem.weights.items()},
            inputs=wide(problem.inputs),
            initial_state={name: wide(array) for name, array in problem.initial_state.items()},
        )
        passed = forward(in_wide, activations_of(problem, lambda name: _activation(mpmath, name)))
        value, d_outputs = loss_of(passed.outputs)
        return {"loss": value, "outputs": passed.outputs, **backward(in_wide, passed, d_outputs)}


def distance(tensor: ndarray, numbers: ndarray) -> ndarray:
    """Return |tensor − numbers| of each element in float64, infinite where the tensor is not finite."""
    import mpmath

    with mpmath.workprec(BITS):
        pairs = zip(tensor.reshape(-1).tolist(), np.asarray(numbers).reshape(-1), strict=True)
        apart = [float(abs(mpmath.mpf(a) - b)) if np.isfinite(a) else np.inf for a, b in pairs]
    return np.array(apart).reshape(tensor.shape)


def _activation(mpmath: Any, name: str) -> Activation:
    if name not in ("tanh", "sigmoid"):  # for relu and identity objects do
        return ACTIVATIONS["identity"] if name == "identity" else Activation(ACTIVATIONS["relu"].value, _relu_slope)
    function = np.frompyfunc(mpmath.tanh if name == "tanh" else lambda a: 1 / (1 + mpmath.exp(-a)), 1, 1)

    def value(a: ndarray, out: ndarray) -> ndarray:
        out[...] = function(a)
        return out

    return Activation(value, ACTIVATIONS[name].slope_at_value)


def _relu_slope(h: ndarray) -> ndarray:
    return (h > 0).astype(int).astype(object)


def _softmax_cross_entropy(
    mpmath: Any, outputs: ndarray, targets: ndarray, covered: ndarray, reduction: str
) -> tuple[ndarray, ndarray]:
    """As in ``reference_impls.losses``, with mpmath's functions."""
    exp = np.frompyfunc(mpmath.exp, 1, 1)
    logits, labels = outputs[covered], targets[covered]  # (N, O), (N,)
    at_labels = np.arange(len(labels)), labels
    shifted = logits - logits.max(axis=-1, keepdims=True)  # (N, O)
    exponentials = exp(shifted)  # (N, O)
    totals = exponentials.sum(axis=-1)  # (N,)
    loss = (np.frompyfunc(mpmath.log, 1, 1)(totals) - shifted[at_labels]).sum()
    d_logits = exponentials / totals[:, None]  # (N, O): softmax
    d_logits[at_labels] -= 1
    terms = len(labels) if reduction == "mean" else 1
    d_outputs = np.full(outputs.shape, mpmath.mpf(0), dtype=object)  # (B, T, O)
    d_outputs[covered] = d_logits / terms
    return np.asarray(loss / terms), d_outputs
