"""The change of each gradient by the rounding of low precision, simulated on the derived reverse pass in float64.

Each result of an operation is multiplied by 1 ± u with random signs, u being the unit roundoff of the operation's
format, forward and backward. Operands of products are rounded as well. A sum of products with random relative changes
u of all operands changes by u·√(Σ a²b²), so that the change is drawn for the sum, and not term by term. (Random
roundings as a probe: Parker 1997, "Monte Carlo Arithmetic".)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from harness.derive.operations import Carry, Einsum, Gather, Operation, Sum
from harness.derive.recording import Recording, Sequences, answered
from harness.derive.reverse import contribution, gradients
from harness.derive.tape import Node
from harness.precision.formats import CARRIED, PRODUCTS, NumberFormat, Rounds

MOVES = (Carry, Gather)
"""Operations that move numbers and round none."""


@dataclass(frozen=True)
class Moved:
    """The right tensors, and those of passes with random roundings, by name."""

    right: dict[str, ndarray]
    draws: list[dict[str, ndarray]]


def moved(problem: Sequences, rounds: Rounds, draws: int, seed: int = 0) -> Moved:
    """Return outputs, last states and gradients of a problem, without and with random roundings.

    Args:
        problem: the problem, in float64.
        rounds: where an implementation rounds.
        draws: the number of passes with random roundings.
        seed: of the signs of the roundings.
    """
    random = np.random.Generator(np.random.PCG64([seed, 17]))
    with np.errstate(all="ignore"):  # an overflow is judged where it is compared
        recording = Recording(problem)
        right = {**answered(recording, problem), **gradients(recording, problem)}
        return Moved(right, [_drawn(problem, rounds, random) for _ in range(draws)])


def _drawn(problem: Sequences, rounds: Rounds, random: np.random.Generator) -> dict[str, ndarray]:
    def signed(size: ndarray) -> ndarray:
        return np.asarray(size * random.choice((-1.0, 1.0), np.shape(size)))

    def rounded(value: ndarray, format: NumberFormat) -> ndarray:
        return value + signed(format.unit * value)

    def recorded(value: ndarray, operation: Operation | None, operands: Sequence[ndarray]) -> ndarray:
        if operation is None or isinstance(operation, Gather) or value.dtype.kind != "f":
            return value  # an array that comes in is representable
        if operation.name in PRODUCTS:
            squares = operation.apply([each**2 for each in operands], [False] * len(operands))
            value = value + signed(math.sqrt(len(operands)) * rounds.at(operation.name).unit * np.sqrt(squares))
        result = rounds.by_default if rounds.at(operation.name).name == "tf32" else rounds.at(operation.name)
        return rounded(value, result)

    def carried(value: ndarray) -> ndarray:
        return rounded(value, rounds.at(CARRIED)) if CARRIED in rounds.operations else value

    def contributed(node: Node, k: int, g: ndarray) -> ndarray:
        handed, operation = contribution(node, k, g), node.operation
        if isinstance(operation, Carry):
            return carried(handed)
        if isinstance(operation, Gather | Sum) or operation is None:
            return handed
        if isinstance(operation, Einsum):
            squares = operation.pull([each.value**2 for each in node.parents], k, g**2)
            terms = max(len(node.parents), 2)
            handed = handed + signed(math.sqrt(terms) * rounds.at(operation.name).unit * np.sqrt(squares))
        result = rounds.by_default if rounds.at(operation.name).name == "tf32" else rounds.at(operation.name)
        return rounded(handed, result)

    def summed(one: ndarray, other: ndarray) -> ndarray:
        return rounded(one + other, rounds.at("add"))

    recording = Recording(problem, recorded)
    found = {**answered(recording, problem), **gradients(recording, problem, contributed, summed)}
    return {name: rounded(each, rounds.stored) for name, each in found.items()}
