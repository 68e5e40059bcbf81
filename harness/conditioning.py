"""How much rounding alone moves a gradient: what the tolerances are relative to.

A good implementation's answer is the exact answer to a problem whose numbers are each off by a few roundings. How far
apart good answers may be therefore depends on the problem: where terms cancel, where the recurrence is chaotic, or
where a chain is long, roundings grow. This is measured: every given number is multiplied by 1 ± eps with random signs,
the gradient is computed again, in the same dtype, and each tensor's largest change is taken, over a few such draws.
(Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 1.5: forward error ≲ condition number × backward
error.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy import ndarray

from harness.implementations import implementations
from harness.problem import Problem
from harness.result import run

DRAWS = 4

REFERENCE = "numpy-split"
"""The implementation by which the noise is measured, whatever the baseline."""


def rounding_noise(problem: Problem) -> dict[str, float]:
    """Measure how far each tensor moves when every given number is rounded once more.

    Args:
        problem: in the split layout.

    Returns:
        For each tensor, the largest absolute change of any element in any draw; infinite and NaN changes count as 0.

    Raises:
        Unsupported: if the reference cannot represent the problem.
    """
    implementation = implementations()[REFERENCE]
    reference = run(implementation, problem).tensors
    noise = dict.fromkeys(reference, 0.0)
    random = np.random.Generator(np.random.PCG64(0))
    for _ in range(DRAWS):
        moved = run(implementation, _perturbed(problem, random)).tensors
        for name, tensor in reference.items():
            with np.errstate(all="ignore"):
                change = np.abs(moved[name] - tensor)
            noise[name] = max(noise[name], float(change[np.isfinite(change)].max(initial=0.0)))
    return noise


def _perturbed(problem: Problem, random: np.random.Generator) -> Problem:
    def each(tensors: Mapping[str, ndarray]) -> dict[str, ndarray]:
        return {name: _rounded_again(tensor, random) for name, tensor in tensors.items()}

    return replace(
        problem,
        weights=each(problem.weights),
        initial_state=each(problem.initial_state),
        inputs=_rounded_again(problem.inputs, random),
        targets=_rounded_again(problem.targets, random),
    )


def _rounded_again(tensor: ndarray, random: np.random.Generator) -> ndarray:
    """Multiply each element by 1 + eps or 1 − eps. Zeros stay, as do class labels."""
    if tensor.dtype.kind != "f":
        return tensor
    eps = np.finfo(tensor.dtype).eps
    signs = random.integers(0, 2, tensor.shape) * 2 - 1
    return tensor * (1 + eps * signs).astype(tensor.dtype)
