"""A result: what one implementation says of one problem, in canonical tensors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from harness.implementations import Implementation, Returned, Unsupported
from harness.layout import layouts
from harness.problem import Problem
from harness.tensors import Structure


@dataclass(frozen=True, eq=False)
class Result:
    """What an implementation returned.

    Attributes:
        loss: of shape (), or None if it was not provided.
        outputs: (B, T, H) or (B, T, O), or None if they were not provided.
        gradients: by canonical name. What could not be converted, because its name is unknown or its shape is wrong,
            stands here as it was returned.
        seconds: how long the implementation took.
    """

    loss: ndarray | None
    outputs: ndarray | None
    gradients: Mapping[str, ndarray]
    seconds: float

    @property
    def tensors(self) -> dict[str, ndarray]:
        """Everything that was provided: ``loss``, ``outputs``, then the gradients."""
        forward = {"loss": self.loss, "outputs": self.outputs}
        return {**{name: each for name, each in forward.items() if each is not None}, **self.gradients}


def run(implementation: Implementation, problem: Problem) -> Result:
    """Run an implementation, in this process.

    Args:
        implementation: the implementation.
        problem: the problem, in the split layout.

    Raises:
        Unsupported: if it cannot represent the problem.
        Exception: whatever the implementation raises.
    """
    if reason := implementation.reason_against(problem.case):
        raise Unsupported(reason)
    given = problem.in_layout(implementation.layout).copy()  # what it does to its inputs stays with it
    start = time.perf_counter()
    returned = implementation.function(given)
    seconds = time.perf_counter() - start
    return read(returned, implementation.layout, problem.structure, seconds)


def read(returned: Returned, layout: str, structure: Structure, seconds: float) -> Result:
    """Take apart what an implementation's function returned, and convert its gradients.

    Raises:
        TypeError: if it is no mapping, or holds something that is no array of numbers.
    """
    if not isinstance(returned, Mapping):
        raise TypeError(f"an implementation returns a mapping of gradients by name, not {type(returned).__name__}")
    arrays = {str(name): _array(name, value) for name, value in returned.items()}
    loss, outputs = arrays.pop("loss", None), arrays.pop("outputs", None)
    expected = layouts()[layout].shapes(structure)
    weights = {name: array for name, array in arrays.items() if array.shape == expected.get(name)}
    others = {name: array for name, array in arrays.items() if name not in weights}
    gradients = {**layouts()[layout].gradients_to_canonical(weights, structure), **others}
    in_order = [name for name in structure.gradients if name in gradients]
    gradients = {name: gradients[name] for name in dict.fromkeys([*in_order, *gradients])}
    return Result(loss, outputs, gradients, seconds)


def _array(name: Any, value: Any) -> ndarray:
    array = np.array(value, copy=True)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} should be an array of real numbers, but has dtype {array.dtype}")
    return array
