"""Changes to gradients by their magnitude: thresholds, limits, norms, non-finite numbers."""

from __future__ import annotations

import numpy as np
from numpy import ndarray
from typing_extensions import override

from benchmarks.spellings.base import Spelling, Tensors, with_weights
from harness.problem import Problem

FORWARD = ("loss", "outputs")


class _OfGradients(Spelling):
    @override
    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        return {name: each if name in FORWARD else self.changed(each) for name, each in tensors.items()}

    def changed(self, gradient: ndarray) -> ndarray:
        """Return a gradient with the spelling's change."""
        raise NotImplementedError


class ClippedIntoThousand(_OfGradients):
    """Gradients are clipped into ±1,000 to be safe."""

    @override
    def changed(self, gradient: ndarray) -> ndarray:
        return np.clip(gradient, -1000, 1000)


class SmallIsZero(_OfGradients):
    """Gradients below 1e-12 in magnitude are taken for numerical noise, and set to zero."""

    @override
    def changed(self, gradient: ndarray) -> ndarray:
        return np.where(np.abs(gradient) < 1e-12, 0, gradient).astype(gradient.dtype)


class SubnormalIsZero(Spelling):
    """Subnormal numbers are flushed to zero, as by TensorFlow's kernels and by -ffast-math."""

    @override
    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        return {
            name: np.where(np.abs(each) < np.finfo(each.dtype).tiny, 0, each).astype(each.dtype)
            for name, each in tensors.items()
        }


class ScaledToNorm(_OfGradients):
    """Clipping by a norm that is never reached, as g / ‖g‖ · min(‖g‖, c): zero over zero for a gradient of zero."""

    @override
    def changed(self, gradient: ndarray) -> ndarray:
        largest = np.abs(gradient).max(initial=0.0)
        norm = largest * np.sqrt(((gradient / largest) ** 2).sum())
        return gradient / norm * min(norm, np.finfo(gradient.dtype).max)


class NormBySquares(_OfGradients):
    """Clipping by a norm that is never reached, whose squares overflow, so that the gradient becomes zero."""

    @override
    def changed(self, gradient: ndarray) -> ndarray:
        norm, limit = np.sqrt((gradient * gradient).sum()), np.finfo(gradient.dtype).max / 2
        return gradient * (limit / norm) if norm > limit else gradient


class NotFiniteIsLarge(Spelling):
    """Results pass nan_to_num, which makes the largest number of infinity."""

    @override
    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        return {name: np.nan_to_num(each) for name, each in tensors.items()}


class ZeroIsNotGiven(Spelling):
    """``if not W.any()``: a weight matrix of zeros is taken for one that was not given, and drawn at random."""

    @override
    def given(self, problem: Problem) -> Problem:
        random = np.random.default_rng(0)
        drawn = {
            name: random.normal(0, 0.1, tensor.shape).astype(tensor.dtype)
            for name, tensor in problem.weights.items()
            if tensor.ndim == 2 and not tensor.any()
        }
        return with_weights(problem, drawn)
