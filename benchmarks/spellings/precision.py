"""Digits lost at one place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy import ndarray
from typing_extensions import override

from benchmarks.spellings.base import Spelling, Tensors, among
from harness.problem import Problem
from reference_impls.activations import ACTIVATIONS, Activation


class SinglePrecisionTemporary(Spelling):
    """In float64, the activation is computed in an array of float32."""

    @override
    def obstacle(self, problem: Problem) -> str:
        return "" if problem.case.dtype == "float64" else "everything is float32"

    @override
    def activation(self, name: str, *, gate: bool) -> Activation:
        right = ACTIVATIONS[name]

        def value(a: ndarray, out: ndarray) -> ndarray:
            narrow = a.astype(np.float32)
            out[...] = right.value(narrow, np.empty_like(narrow))
            return out

        return right._replace(value=value)


class InputsInHalfPrecision(Spelling):
    """Inputs pass through float16."""

    @override
    def given(self, problem: Problem) -> Problem:
        return replace(problem, inputs=problem.inputs.astype(np.float16).astype(problem.inputs.dtype))


class WeightsInBfloat16(Spelling):
    """Weights lose all but eight bits, as where a product is taken in bfloat16."""

    @override
    def given(self, problem: Problem) -> Problem:
        def narrow(weight: ndarray) -> ndarray:
            bits = weight.astype(np.float32).view(np.uint32)
            return ((bits + 0x8000) & 0xFFFF0000).astype(np.uint32).view(np.float32).astype(weight.dtype)

        return replace(problem, weights={name: narrow(weight) for name, weight in problem.weights.items()})


class BiasGradientInHalfPrecision(Spelling):
    """The gradient of the biases passes through float16."""

    @override
    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        rounded = {name: each.astype(np.float16).astype(each.dtype) for name, each in among(tensors, "b_h")}
        return tensors | rounded
