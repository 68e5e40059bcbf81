"""The rounding noise of a gradient: the distance that rounding alone moves it. Tolerances are relative to it.

A good implementation's answer is the exact answer to a problem whose numbers are each off by a few roundings. The
distance between good answers therefore depends on the problem. Roundings grow if terms cancel, if activations saturate,
if the recurrence is chaotic or if the chain is long. This growth is measured. The reference computes the gradient again
in the same dtype, with every given number, every hidden state and every output multiplied by 1 ± eps with random signs.
The noise of a tensor is its largest change over a few such draws.

The gradient of a weight and the loss are also sums over steps and sequences. A sum of N terms that is computed one term
after the other rounds each partial sum. If the terms have one sign, the partial sums grow evenly to the whole, S. Each
is rounded by eps/√12 of itself in the mean, and Σ_k (k/N)² = N/3, which makes eps·S·√N/6 altogether. The reference adds
in blocks, which round less, so this much is added to its sums, with random signs.

(Forward error ≲ condition number × backward error: Higham 2002, "Accuracy and Stability of Numerical Algorithms",
section 1.6. Random roundings as a probe: Parker 1997, "Monte Carlo Arithmetic".)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy import ndarray

from harness.precision.kinks import at_kink, slopes_by_sign, with_slopes
from harness.problem import Problem
from harness.problem.reference import activations_of, backward, forward
from reference_impls.activations import ACTIVATIONS, Activation

DRAWS = 4

Kept = Sequence[tuple[ndarray, ndarray]]
"""For each recursion, the elements that keep their slope, (T, B, H) of bool, and the slopes, (T, B, H)."""

_Rounding = Callable[[ndarray], ndarray]
"""A function from a tensor to the change that one more rounding makes."""


def rounding_noise(problem: Problem, draws: int = DRAWS) -> dict[str, float]:
    """Measure how far each tensor moves when every number is rounded once more.

    Args:
        problem: The problem, in the split layout.
        draws: The number of draws; fewer draws never give more noise.

    Returns:
        For each tensor, the largest finite change of any element in any draw, absolute.
    """
    if problem.recurrence is not None:
        from harness.derive import noise as of_recurrences

        return of_recurrences.rounding_noise(problem.calculation, draws)
    with np.errstate(all="ignore"):  # what overflows is judged where it is compared
        kept = kept_slopes(problem)
        reference = _tensors(problem, activations_of(problem), np.zeros_like, kept)
        noise = dict.fromkeys(reference, 0.0)
        random = np.random.Generator(np.random.PCG64(0))
        for _ in range(draws):
            for name, moved in rounded_tensors(problem, random, kept).items():
                change = np.abs(moved - reference[name])
                noise[name] = max(noise[name], float(change[np.isfinite(change)].max(initial=0.0)))
    return noise


def rounding(tensor: ndarray, random: np.random.Generator) -> ndarray:
    """Return ±eps·tensor with random signs, of the tensor's shape; zero for class labels."""
    if tensor.dtype.kind != "f":
        return np.zeros_like(tensor)
    signs = random.integers(0, 2, tensor.shape, dtype=np.int8) * 2 - 1
    return tensor * (np.finfo(tensor.dtype).eps * signs).astype(tensor.dtype)


def rounded_tensors(problem: Problem, random: np.random.Generator, kept: Kept) -> dict[str, ndarray]:
    """Compute loss, outputs and gradients once, with every number rounded once more.

    Args:
        problem: The problem, in the split layout.
        random: The source of the signs of the roundings.
        kept: The slopes that ``kept_slopes`` returns.
    """

    def rounded(tensor: ndarray) -> ndarray:
        return rounding(tensor, random)

    def each(tensors: Mapping[str, ndarray]) -> dict[str, ndarray]:
        return {name: tensor + rounded(tensor) for name, tensor in tensors.items()}

    def rounded_once_more(name: str) -> Activation:
        exact = ACTIVATIONS[name]

        def value(a: ndarray, out: ndarray) -> ndarray:
            exact.value(a, out)
            out += rounded(out)
            return out

        return Activation(value, exact.slope_at_value)

    rounded_problem = replace(
        problem,
        weights=each(problem.weights),
        initial_state=each(problem.initial_state),
        inputs=problem.inputs + rounded(problem.inputs),
        targets=problem.targets + rounded(problem.targets),
    )
    found = _tensors(rounded_problem, activations_of(problem, rounded_once_more), rounded, kept)
    return found | _added_one_by_one(problem, found, random.spawn(1)[0])


def _added_one_by_one(
    problem: Problem, tensors: Mapping[str, ndarray], random: np.random.Generator
) -> dict[str, ndarray]:
    """Return the tensors that are sums over steps and sequences, with the rounding of a sum term by term."""
    found = {}
    for name, terms in _terms(problem).items():
        tensor = tensors[name]
        signs = random.integers(0, 2, tensor.shape, dtype=np.int8) * 2 - 1
        largest = float(np.abs(tensor[np.isfinite(tensor)]).max(initial=0.0))
        by = float(np.finfo(tensor.dtype).eps) * math.sqrt(terms) / 6 * largest
        found[name] = tensor + (by * signs).astype(tensor.dtype)
    return found


def _terms(problem: Problem) -> dict[str, int]:
    """Return the number of terms in the sum over steps and sequences, for each weight's gradient and the loss."""
    of_outputs, of_steps = int(problem.covered.sum()), int(problem.valid.sum())
    weights = {name: of_outputs if name.startswith("readout.") else of_steps for name in problem.structure.weights}
    return {"loss": of_outputs * problem.structure.outputs[2], **weights}


def _tensors(
    problem: Problem, activations: Mapping[str, Activation], rounding: _Rounding, kept: Kept
) -> dict[str, ndarray]:
    def loss_of(outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = problem.loss(outputs + rounding(outputs))
        if problem.case.loss.kind == "softmax_cross_entropy":
            # If the softmax is nearly 1, softmax − onehot is mostly the softmax's rounding. The same holds for the
            # logarithm of a sum of exponentials if the largest is 1.
            one_hot = _one_hot(problem, d_outputs)
            d_outputs = d_outputs + rounding(one_hot)
            loss = loss + rounding(np.sqrt((one_hot * one_hot).sum()))
        return loss, d_outputs

    passed = forward(problem, activations)
    loss, d_outputs = loss_of(passed.outputs)
    if kept:
        slopes = slopes_by_sign(passed)
        passed = with_slopes(passed, [np.where(at, s, own) for own, (at, s) in zip(slopes, kept, strict=True)])
    gradients = backward(problem, passed, d_outputs)
    return {"loss": loss, "outputs": passed.outputs, **gradients}


def kept_slopes(problem: Problem) -> Kept:
    """Return the slopes of relu that stay as they are in every draw.

    A pre-activation that is zero within rounding may have either slope. That is a choice, not a rounding: if it counted
    as noise, the tolerance would accept any gradient.
    """
    if problem.case.activation != "relu":
        return []
    passed = forward(problem)
    return list(zip(at_kink(passed, problem.weights), slopes_by_sign(passed), strict=True))


def _one_hot(problem: Problem, d_outputs: ndarray) -> ndarray:
    """Return the onehot(label) in the gradient of a softmax cross-entropy, reduction included, (B, T, O)."""
    covered = problem.covered  # (B, T)
    one_hot = np.zeros_like(d_outputs)  # (B, T, O)
    terms = covered.sum() if problem.case.loss.reduction == "mean" else 1
    np.put_along_axis(one_hot, problem.targets[:, :, None], covered[:, :, None] / terms, axis=-1)
    return one_hot
