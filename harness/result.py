"""A result: what one implementation says of one problem, in canonical tensors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from numpy import ndarray

from harness.implementations import Implementation, Returned, Unsupported
from harness.layout import layouts
from harness.layout.names import why_not
from harness.problem import Problem
from harness.returned import arrays_of


@dataclass(frozen=True, eq=False)
class Result:
    """What an implementation returned.

    Attributes:
        loss: of shape (), or None if it was not provided.
        outputs: (B, T, H) or (B, T, O), or None if they were not provided.
        gradients: by canonical name. What could not be converted, because its name is unknown or its shape is wrong,
            stands here as it was returned.
        seconds: how long the implementation took.
        misfits: for each of those that could not be converted, why, and what it should be.
    """

    loss: ndarray | None
    outputs: ndarray | None
    gradients: Mapping[str, ndarray]
    seconds: float
    misfits: Mapping[str, str] = field(default_factory=dict)

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
    return read(returned, implementation.layout, problem, seconds)


def read(returned: Returned, layout: str, problem: Problem, seconds: float) -> Result:
    """Take apart what an implementation's function returned, and convert its gradients.

    Args:
        returned: arrays, lists, numbers or tensors by name.
        layout: the layout of the names.
        problem: what it is the answer to.
        seconds: how long the answer took.

    Raises:
        NotReadable: if it is no mapping, or holds something that is no array of numbers.
    """
    structure = problem.structure
    arrays = arrays_of(returned, problem.case.dtype)
    loss, outputs = arrays.pop("loss", None), arrays.pop("outputs", None)
    expected = layouts()[layout].shapes(structure)
    weights = {name: array for name, array in arrays.items() if array.shape == expected.get(name)}
    others = {name: array for name, array in arrays.items() if name not in weights}
    gradients = {**layouts()[layout].gradients_to_canonical(weights, structure), **others}
    in_order = [name for name in structure.gradients if name in gradients]
    gradients = {name: gradients[name] for name in dict.fromkeys([*in_order, *gradients])}
    why = {name: why_not(name, array.shape, layout, structure, returned) for name, array in others.items()}
    return Result(loss, outputs, gradients, seconds, {name: reason for name, reason in why.items() if reason})
