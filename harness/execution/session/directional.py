"""Directional derivatives: what the baseline's gradient says of them, and how far rounding may move them.

An oracle that cannot afford every element says how the loss changes along random directions over all tensors together.
The gradient's answer is its inner product with the direction, ⟨∇L, v⟩. If each element of a tensor is off by e, however
the errors hang together, their inner product with independent standard normal numbers is off by e·√n, n its elements;
over all tensors the squares add up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harness.precision import tolerance as tolerances
from harness.precision.perturbations import directions
from harness.problem import Problem
from harness.result import Result

NAME = "directional"
DEVIATIONS = 4.0
"""A normal number is further from zero than this many standard deviations once in 16,000."""


def with_expected(expected: Result, problem: Problem, count: int) -> Result | None:
    """Return the baseline's result with its derivatives along ``count`` directions; None if a gradient is missing."""
    gradients = expected.gradients
    shapes = problem.structure.gradients
    if any(name not in gradients or gradients[name].shape != shape for name, shape in shapes.items()):
        return None
    along = []
    for direction in directions(problem.structure, count):
        with np.errstate(all="ignore"):  # what is not finite is judged where it is compared
            products = [(gradients[name].astype(np.float64) * v).reshape(-1) for name, v in direction.items()]
        along.append(math.fsum(map(_sum, products)))
    return replace(expected, directional=np.array(along).astype(problem.case.dtype))


def _sum(products: np.ndarray) -> float:
    return math.fsum(products) if np.isfinite(products).all() else float(products.sum())


def noise(expected: Result, problem: Problem, of_tensors: Mapping[str, float]) -> float:
    """Return how far rounding moves a directional derivative, absolute, from how far it moves each tensor."""
    eps = float(np.finfo(problem.case.dtype).eps)
    return math.sqrt(
        sum(
            tensor.size * max(of_tensors.get(name, 0.0), eps * tolerances.largest_magnitude(tensor)) ** 2
            for name, tensor in expected.gradients.items()
        )
    )


def tolerance(expected: Result, problem: Problem) -> Mapping[str, Any] | None:
    """Return the case's tolerance with what it means for directional derivatives; None if the case gives none."""
    override = problem.case.tolerance
    if override is None:
        return None
    squares = 0.0
    for name, tensor in expected.gradients.items():
        bound = tolerances.bound(name, tensor, override)
        squares += tensor.size * (bound.atol + bound.rtol * tolerances.largest_magnitude(tensor)) ** 2
    by_tensor = {"default": override} if {"rtol", "atol"} & override.keys() else dict(override)
    return {**by_tensor, NAME: {"atol": DEVIATIONS * math.sqrt(squares)}}
