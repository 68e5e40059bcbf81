"""How much rounding alone moves a gradient: what the tolerances are relative to.

A good implementation's answer is the exact answer to a problem whose numbers are each off by a few roundings. How far
apart good answers may be therefore depends on the problem: where terms cancel, where activations saturate, where the
recurrence is chaotic or the chain is long, roundings grow. This is measured. The reference computes the gradient again,
in the same dtype, with every number that it is given, every hidden state and every output multiplied by 1 ± eps, the
signs at random; each tensor's largest change is taken, over a few such draws.

The gradient of a weight, and the loss, are sums besides, over steps and sequences, and whoever adds N terms one after
the other rounds each partial sum. Of terms of one sign the partial sums grow evenly to the whole, S; each is rounded by
eps/√12 of itself in the mean, and Σ_k (k/N)² = N/3, which makes eps·S·√N/6 of it all, in the mean. As much is added,
the signs at random, since the reference adds in blocks, which round less.

(Forward error ≲ condition number × backward error: Higham 2002, "Accuracy and Stability of Numerical Algorithms",
section 1.6. Random roundings as a probe: Parker 1997, "Monte Carlo Arithmetic".)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy import ndarray

from harness.derive import noise as of_recurrences
from harness.precision.kinks import at_kink, slopes_by_sign, with_slopes
from harness.problem import Problem
from harness.problem.recurrent import RecurrenceProblem
from harness.problem.reference import activations_of, backward, forward
from reference_impls.activations import ACTIVATIONS, Activation

DRAWS = 4

Kept = Sequence[tuple[ndarray, ndarray]]
"""For each recursion where its slopes are kept, (T, B, H) of bool, and the slopes, (T, B, H)."""

_Rounding = Callable[[ndarray], ndarray]
"""Maps a tensor to what one more rounding adds to it."""


def rounding_noise(problem: Problem, draws: int = DRAWS) -> dict[str, float]:
    """Measure how far each tensor moves when every number is rounded once more.

    Args:
        problem: in the split layout.
        draws: how often; with fewer, no tensor moves further.

    Returns:
        For each tensor, the largest absolute change of any element in any draw that is finite.
    """
    if isinstance(problem, RecurrenceProblem):
        return of_recurrences.rounding_noise(problem.sequences, draws)
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
    """Return ±eps·tensor, the signs at random, of the shape of tensor; zero for class labels."""
    if tensor.dtype.kind != "f":
        return np.zeros_like(tensor)
    signs = random.integers(0, 2, tensor.shape, dtype=np.int8) * 2 - 1
    return tensor * (np.finfo(tensor.dtype).eps * signs).astype(tensor.dtype)


def rounded_tensors(problem: Problem, random: np.random.Generator, kept: Kept) -> dict[str, ndarray]:
    """Compute loss, outputs and gradients once, with every number rounded once more.

    Args:
        problem: in the split layout.
        random: where the signs of the roundings come from.
        kept: as ``kept_slopes`` returns it.
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
    """Return those of the tensors that are sums over steps and sequences, as if added up term by term."""
    found = {}
    for name, terms in _terms(problem).items():
        tensor = tensors[name]
        signs = random.integers(0, 2, tensor.shape, dtype=np.int8) * 2 - 1
        largest = float(np.abs(tensor[np.isfinite(tensor)]).max(initial=0.0))
        by = float(np.finfo(tensor.dtype).eps) * math.sqrt(terms) / 6 * largest
        found[name] = tensor + (by * signs).astype(tensor.dtype)
    return found


def _terms(problem: Problem) -> dict[str, int]:
    """How many terms the sum over steps and sequences has that a weight's gradient is, or the loss."""
    of_outputs, of_steps = int(problem.covered.sum()), int(problem.valid.sum())
    weights = {name: of_outputs if name.startswith("readout.") else of_steps for name in problem.structure.weights}
    return {"loss": of_outputs * problem.structure.outputs[2], **weights}


def _tensors(
    problem: Problem, activations: Mapping[str, Activation], rounding: _Rounding, kept: Kept
) -> dict[str, ndarray]:
    def loss_of(outputs: ndarray) -> tuple[ndarray, ndarray]:
        loss, d_outputs = problem.loss(outputs + rounding(outputs))
        if problem.case.loss.kind == "softmax_cross_entropy":
            # softmax − onehot: where the softmax is nearly 1, its rounding is all that is left. So it is with the
            # logarithm of a sum of exponentials, the largest of which is 1.
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
    """Return the slopes that relu keeps, whatever is rounded.

    A pre-activation that is zero within rounding has either slope. That is a choice, no rounding: if it counted as
    noise, the tolerance would let any gradient pass.
    """
    if problem.case.activation != "relu":
        return []
    passed = forward(problem)
    return list(zip(at_kink(passed, problem.weights), slopes_by_sign(passed), strict=True))


def _one_hot(problem: Problem, d_outputs: ndarray) -> ndarray:
    """The onehot(label) that the gradient of a softmax cross-entropy contains, reduction included: (B, T, O)."""
    covered = problem.covered  # (B, T)
    one_hot = np.zeros_like(d_outputs)  # (B, T, O)
    terms = covered.sum() if problem.case.loss.reduction == "mean" else 1
    np.put_along_axis(one_hot, problem.targets[:, :, None], covered[:, :, None] / terms, axis=-1)
    return one_hot
