"""The change of each gradient of a recurrence, or of a network of one, by rounding alone.

The problem is recorded and differentiated again with every number, every value of the forward pass and every
contribution of the reverse pass multiplied by 1 ± u, with random signs; u is half of eps. The noise is the largest
change over a few such draws, as in ``harness.precision.rounding_noise`` for networks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from harness.derive.operations import Carry, Gather, Operation, Sum
from harness.derive.recording import recorded
from harness.derive.reverse import backward, contribution
from harness.derive.stepping import Calculation
from harness.derive.tape import Node

DRAWS = 4


def rounding_noise(problem: Calculation, draws: int = DRAWS) -> dict[str, float]:
    """Return the largest absolute change of any element of each tensor, ``loss``, ``outputs`` and last states too.

    Args:
        problem: the problem.
        draws: the number of draws.
    """
    random = np.random.Generator(np.random.PCG64(0))
    with np.errstate(all="ignore"):  # an overflow is judged in the comparison
        exact = _tensors(problem, None)
        noise = dict.fromkeys(exact, 0.0)
        for _ in range(draws):
            for name, moved in _tensors(problem, random).items():
                change = np.abs(moved - exact[name])
                noise[name] = max(noise[name], float(change[np.isfinite(change)].max(initial=0.0)))
    return noise


def _tensors(problem: Calculation, random: np.random.Generator | None) -> dict[str, ndarray]:
    if random is None:
        graph, answers, ends = recorded(problem)
        return {**answers, **backward(graph, ends)}

    def rounded(value: ndarray) -> ndarray:
        if value.dtype.kind != "f":
            return value
        unit = np.finfo(value.dtype).eps / 2
        return np.asarray(value * (1 + random.choice((-unit, unit), value.shape)).astype(value.dtype))

    def contributed(node: Node, k: int, g: ndarray) -> ndarray:
        handed = contribution(node, k, g)
        return handed if isinstance(node.operation, Carry | Gather | Sum) else rounded(handed)

    def perturbed(value: ndarray, operation: Operation | None, _: Sequence[ndarray]) -> ndarray:
        return value if isinstance(operation, Carry) else rounded(value)

    graph, answers, ends = recorded(problem, perturbed)
    return {**answers, **backward(graph, ends, contributed)}
