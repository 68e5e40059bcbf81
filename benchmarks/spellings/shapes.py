"""Axes of length one that are dropped from the results."""

from __future__ import annotations

import numpy as np
from numpy import ndarray
from typing_extensions import override

from benchmarks.spellings.base import Spelling, Tensors
from harness.problem import Problem


class _Squeezed(Spelling):
    """An axis of the outputs and of the gradient of the inputs is dropped if its length is one."""

    axis: int

    @override
    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        def squeezed(array: ndarray) -> ndarray:
            return np.squeeze(array, self.axis) if array.shape[self.axis] == 1 else array

        return tensors | {name: squeezed(tensors[name]) for name in ("outputs", "inputs")}


class BatchSqueezed(_Squeezed):
    """Outputs and the gradient of the inputs lose the batch's axis if there is one sequence."""

    axis = 0


class TimeSqueezed(_Squeezed):
    """Outputs and the gradient of the inputs lose the axis of time if there is one step."""

    axis = 1


class FeaturesSqueezed(_Squeezed):
    """Outputs and the gradient of the inputs lose their last axis if its length is one."""

    axis = 2


class UnitSqueezed(Spelling):
    """Weights of a single unit lose their axes of length one."""

    @override
    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        if problem.structure.hidden > 1:
            return tensors
        return tensors | {
            name: np.squeeze(each) for name, each in tensors.items() if name.endswith(".W_hh") and each.ndim > 1
        }
