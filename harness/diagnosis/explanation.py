"""What a diagnosis is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

UNEXPLAINED = "unexplained"
SWAPPED = "swapped"
NOT_FINITE = "not-finite"

OTHER_NAMES = {
    "step-weights": "The right sum with other weights on its steps: some left out, counted twice, or discounted.",
    "sequence-weights": "The right sum with other weights on the sequences of the batch.",
    "loss-age-weights": "The right sum with other weights on losses so many steps later: truncated, or discounted.",
    SWAPPED: "The gradients of two tensors of one shape stand in each other's place.",
    NOT_FINITE: "A tensor has NaN or infinity where the right one is finite.",
    "wrong-shape": "A tensor of another shape: the right numbers, their sum, mean or slice, or others.",
    "not-summed": "The right numbers before a sum that is left out.",
    "lower-precision": "The right numbers, computed in a narrower dtype, or with more rounding than the tolerance has.",
    "baseline-is-off": "The numbers are right, and the baseline is not.",
    "tolerance-below-rounding": "The numbers are right to rounding, and the tolerance in force asks for more.",
    UNEXPLAINED: "No fault of the catalogue explains the numbers; where they are first off is told.",
}
"""What a diagnosis can name besides the faults of the catalogue."""


@dataclass(frozen=True)
class Diagnosis:
    """One explanation of what is wrong with an implementation's numbers.

    Attributes:
        fault: the name of the fault; of several, joined by " + "; ``unexplained`` if none fits.
        explanation: what it is, in words.
        residuals: for each tensor that it explains, the largest ``|actual − predicted|`` once the fault is assumed,
            relative to the tensor's largest element; NaN of a wrong shape that nothing explains.
        start: where the numbers are first off, in words.
        declare: what the case would say if this is what was meant; empty if there is nothing to say.
    """

    fault: str
    explanation: str
    residuals: Mapping[str, float]
    start: str = ""
    declare: str = ""

    @property
    def residual(self) -> float:
        """The largest residual of any tensor."""
        return max(self.residuals.values(), default=float("nan"))

    @property
    def tensors(self) -> tuple[str, ...]:
        """The tensors that it is about."""
        return tuple(self.residuals)

    @property
    def tensor(self) -> str:
        """The first of them."""
        return next(iter(self.residuals), "")

    def __str__(self) -> str:
        meant = f" If that is meant, the case should say {self.declare}." if self.declare else ""
        if self.fault == UNEXPLAINED:
            return self.explanation
        left = f" (residual {self.residual:.1e})" if math.isfinite(self.residual) else ""
        return f"{self.fault}: {self.explanation}{left}{meant}"
