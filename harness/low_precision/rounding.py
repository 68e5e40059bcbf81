"""The change of each gradient by the rounding of low precision, simulated on the derived reverse pass in float64.

Each result of an operation is multiplied by 1 ± u with random signs, u being the unit roundoff of the operation's
format, forward and backward. Operands of products are rounded as well. A sum of products with random relative changes
u of all operands changes by u·√(Σ a²b²), so that the change is drawn for the sum, and not term by term. Numbers below
the format's smallest normal one fall on its grid, and may become zero; those beyond its largest become infinite.
(Random roundings as a probe: Parker 1997, "Monte Carlo Arithmetic".)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy import ndarray

from harness.derive.operations import Carry, Einsum, Gather, Operation, Sum
from harness.derive.recording import Recording, Sequences, answered
from harness.derive.reverse import Contribution, contribution, gradients
from harness.derive.segments import by_segments
from harness.derive.tape import Node
from harness.precision.formats import CARRIED, PRODUCTS, TF32, NumberFormat, Rounds

HEADROOM = 4.0
"""Factor below the format's largest number from which on an element is left out: a part of its sum may overflow."""

LONG = 512
"""Number of steps above which a pass runs in segments."""


class Roundings(Protocol):
    """One way to round the results of a pass."""

    def begin(self, segment: int) -> None:
        """Round the segment that follows as at the call before with its number."""

    def rounded(self, value: ndarray, format: NumberFormat) -> ndarray:
        """Return a result in a format."""

    def product(
        self, value: ndarray, operation: Operation, operands: Sequence[ndarray], format: NumberFormat
    ) -> ndarray:
        """Return the value of a sum of products whose operands are rounded to a format."""

    def handed(self, operation: Einsum, values: Sequence[ndarray], k: int, g: ndarray, format: NumberFormat) -> ndarray:
        """Return the gradient of operand k of a sum of products, with all factors rounded to a format."""


class AtRandom:
    """Roundings that move each result by u, up or down at random.

    Args:
        random: the generator of the signs.
    """

    def __init__(self, random: np.random.Generator) -> None:
        self._random = self._of_seeds = random
        self._seeds: dict[int, int] = {}

    def begin(self, segment: int) -> None:
        """Begin with a new seed at the first call with a number, and with the same one at the second."""
        if segment in self._seeds:
            seed = self._seeds.pop(segment)
        else:
            seed = self._seeds[segment] = int(self._of_seeds.integers(2**63))
        self._random = np.random.Generator(np.random.PCG64(seed))

    def rounded(self, value: ndarray, format: NumberFormat) -> ndarray:
        """Return a result times 1 ± u, within the range of the format."""
        return format.limited(value + self._signed(format.unit * value))

    def product(
        self, value: ndarray, operation: Operation, operands: Sequence[ndarray], format: NumberFormat
    ) -> ndarray:
        """Return the sum of products, moved as if each operand were times 1 ± u."""
        squares = operation.apply([each**2 for each in operands], [False] * len(operands))
        return value + self._signed(self._size(len(operands), format, squares))

    def handed(self, operation: Einsum, values: Sequence[ndarray], k: int, g: ndarray, format: NumberFormat) -> ndarray:
        """Return the gradient of operand k, moved as if each factor were times 1 ± u."""
        squares = operation.pull([each**2 for each in values], k, g**2)
        return operation.pull(values, k, g) + self._signed(self._size(max(len(values), 2), format, squares))

    def _size(self, factors: int, format: NumberFormat, squares: ndarray) -> ndarray:
        return math.sqrt(factors) * format.unit * np.sqrt(squares)

    def _signed(self, size: ndarray) -> ndarray:
        return np.asarray(size * self._random.choice((-1.0, 1.0), np.shape(size)))


class ToNearest:
    """Roundings to the nearest number of the format, as processors do them."""

    def begin(self, segment: int) -> None:
        """Round as ever."""

    def rounded(self, value: ndarray, format: NumberFormat) -> ndarray:
        """Return the nearest numbers."""
        return format.round(value)

    def product(
        self, value: ndarray, operation: Operation, operands: Sequence[ndarray], format: NumberFormat
    ) -> ndarray:
        """Return the exact sum of products of the nearest numbers."""
        del value
        return operation.apply([format.round(each) for each in operands], [False] * len(operands))

    def handed(self, operation: Einsum, values: Sequence[ndarray], k: int, g: ndarray, format: NumberFormat) -> ndarray:
        """Return the exact gradient of operand k for the nearest numbers."""
        return operation.pull([format.round(each) for each in values], k, format.round(g))


class Simulation:
    """A problem with the roundings of an implementation: the right tensors, and passes with simulated roundings.

    Args:
        problem: the problem, in float64.
        rounds: where an implementation rounds.
        seed: of the signs of the roundings.

    Attributes:
        problem: the problem.
        rounds: where an implementation rounds.
        right: outputs, last states and gradients by name, without rounding.
        nearest: the same of a pass that rounds each result to the nearest number.
    """

    def __init__(self, problem: Sequences, rounds: Rounds, seed: int = 0) -> None:
        self.problem, self.rounds = problem, rounds
        self._random = AtRandom(np.random.Generator(np.random.PCG64([seed, 17])))
        self._draws: list[dict[str, ndarray]] = []
        with np.errstate(all="ignore"):  # an overflow is judged where it is compared
            if self.is_long:
                self.right = by_segments(problem)
            else:
                recording = Recording(problem)
                self.right = {**answered(recording, problem), **gradients(recording, problem)}
            self.nearest = with_roundings(problem, rounds, ToNearest())

    @cached_property
    def overflows(self) -> bool:
        """True if an element of a tensor is beyond the range of the format, or near its end."""
        most = self.rounds.stored.largest / HEADROOM
        tensors = [self.right, self.nearest, *self.draws(2)]
        return not all(
            (np.abs(array) <= most).all() for each in tensors for name, array in each.items() if name != "loss"
        )

    @property
    def is_long(self) -> bool:
        """True if a pass runs in segments."""
        return self.problem.steps > LONG

    def draws(self, count: int) -> list[dict[str, ndarray]]:
        """Return the tensors of so many passes with random roundings, the same ones at each call."""
        with np.errstate(all="ignore"):
            while len(self._draws) < count:
                self._draws.append(with_roundings(self.problem, self.rounds, self._random))
        return self._draws[:count]


def with_roundings(
    problem: Sequences, rounds: Rounds, how: Roundings, contributed: Contribution = contribution
) -> dict[str, ndarray]:
    """Return outputs, last states and gradients of a pass with roundings, by name.

    Args:
        problem: the problem, in float64.
        rounds: the places of the roundings.
        how: the roundings.
        contributed: the contributions of operations that are no sums of products; a wrong function breaks a rule.
    """

    def result(operation: Operation) -> NumberFormat:
        format = rounds.at(operation.name)
        return rounds.by_default if format.name in TF32 else format  # the format of factors alone

    def recorded(value: ndarray, operation: Operation | None, operands: Sequence[ndarray]) -> ndarray:
        if operation is None or isinstance(operation, Gather) or value.dtype.kind != "f":
            return value  # an array that comes in is representable
        if operation.name in PRODUCTS:
            value = how.product(value, operation, operands, rounds.at(operation.name))
        return how.rounded(value, result(operation))

    def rounding(node: Node, k: int, g: ndarray) -> ndarray:
        operation = node.operation
        if isinstance(operation, Einsum) and contributed is contribution:
            handed = how.handed(operation, [each.value for each in node.parents], k, g, rounds.at(operation.name))
        else:
            handed = contributed(node, k, g)
        if isinstance(operation, Carry):
            return how.rounded(handed, rounds.at(CARRIED)) if CARRIED in rounds.operations else handed
        if isinstance(operation, Gather | Sum) or operation is None:
            return handed
        return how.rounded(handed, result(operation))

    def summed(one: ndarray, other: ndarray) -> ndarray:
        return how.rounded(one + other, rounds.at("add"))

    if problem.steps > LONG:
        found = by_segments(problem, recorded, rounding, summed, how.begin)
    else:
        recording = Recording(problem, recorded)
        found = {**answered(recording, problem), **gradients(recording, problem, rounding, summed)}
    return {name: how.rounded(each, rounds.stored) for name, each in found.items()}
