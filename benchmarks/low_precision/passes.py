"""Right answers in NumPy: the derived pass with roundings of several kinds, at several places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from harness.derive.operations import Einsum, Operation
from harness.low_precision.rounding import Roundings, ToNearest, with_roundings
from harness.precision.formats import NumberFormat, Rounds
from harness.problem.recurrent import RecurrenceProblem

Answer = Callable[[RecurrenceProblem], dict[str, ndarray]]
"""A function from a problem to its tensors by name."""

BLOCK = 8
"""Number of terms that a blocked sum adds up before it adds the block to the total."""


@dataclass
class Stochastic(ToNearest):
    """Roundings to one of the two neighbours, the nearer with the greater probability.

    Attributes:
        random: the generator.
    """

    random: np.random.Generator

    def rounded(self, value: ndarray, format: NumberFormat) -> ndarray:
        """Return a neighbour of each number."""
        nearest = format.round(value)
        ulp = np.ldexp(1.0, np.maximum(np.frexp(value)[1], format.least + 1) - format.digits)
        down = np.floor(value / ulp) * ulp
        up = self.random.random(value.shape) * ulp < value - down
        return np.where(np.isfinite(nearest), down + np.where(up, ulp, 0.0), nearest)


@dataclass
class LowSums(ToNearest):
    """Sums of products that are added up in low precision, one term after another or by blocks.

    Attributes:
        block: the number of terms of a block; None for one after another.
    """

    block: int | None = None

    def product(
        self, value: ndarray, operation: Operation, operands: Sequence[ndarray], format: NumberFormat
    ) -> ndarray:
        """Return the sum of rounded products."""
        assert isinstance(operation, Einsum)
        return self._summed(operation.inputs, operation.output, operands, format).reshape(value.shape)

    def handed(self, operation: Einsum, values: Sequence[ndarray], k: int, g: ndarray, format: NumberFormat) -> ndarray:
        """Return the gradient of operand k as a sum of rounded products."""
        others = [j for j in range(len(values)) if j != k]
        inputs = [operation.output, *(operation.inputs[j] for j in others)]
        if not set(operation.inputs[k]) <= set("".join(inputs)):  # an axis that was summed over alone
            return super().handed(operation, values, k, g, format)
        return self._summed(inputs, operation.inputs[k], [g, *(values[j] for j in others)], format)

    def _summed(self, inputs: Sequence[str], output: str, operands: Sequence[ndarray], format: NumberFormat) -> ndarray:
        inner = "".join(dict.fromkeys(each for each in "".join(inputs) if each not in output))
        terms = np.einsum(f"{','.join(inputs)}->{inner}{output}", *(format.round(each) for each in operands))
        terms = format.round(terms.reshape(-1, *terms.shape[len(inner) :]))  # (terms, …)
        if self.block is None:
            return self._added(terms, format)
        blocks = [self._added(terms[n : n + self.block], format) for n in range(0, len(terms), self.block)]
        return self._added(np.stack(blocks), format)

    @staticmethod
    def _added(terms: ndarray, format: NumberFormat) -> ndarray:
        total = terms[0]
        for each in terms[1:]:
            total = format.round(total + each)
        return total


def rounding(where: Rounds, how: Roundings | None = None) -> Answer:
    """Return the derived pass with roundings, to nearest unless given."""

    def answer(problem: RecurrenceProblem) -> dict[str, ndarray]:
        with np.errstate(all="ignore"):
            return with_roundings(problem.sequences, where, how or ToNearest())

    return answer
