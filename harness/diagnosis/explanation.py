"""A diagnosis, and the names that it can have besides the faults of the catalogue."""

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
    "constant-added": "A small constant is added in the forward pass, such as 1e-12 under a logarithm.",
    "clipped-norm": "The gradients are scaled to a common norm, with or without a fault besides.",
    "own-forward-pass": "Another forward pass than the case's; the gradients are held against its own loss.",
    "state-kept": "The first answer is right, and the second starts from what the first left behind.",
    SWAPPED: "The gradients of two tensors of one shape are swapped.",
    NOT_FINITE: "A tensor has NaN or infinity where the right one is finite.",
    "wrong-shape": "A tensor of another shape: the right numbers, their sum, mean or slice, or others.",
    "not-summed": "The right numbers, without their last sum.",
    "lower-precision": "The right numbers, computed in a narrower dtype, or with more rounding than the tolerance has.",
    "baseline-is-off": "The numbers are right, and the baseline is not.",
    "tolerance-below-rounding": "The numbers are right to rounding, and the tolerance in force asks for more.",
    UNEXPLAINED: "No fault of the catalogue explains the numbers; the diagnosis shows the first wrong ones.",
}
"""The names that a diagnosis can have besides the faults of the catalogue."""


@dataclass(frozen=True)
class Diagnosis:
    """One explanation of wrong numbers of an implementation.

    Attributes:
        fault: the name of the fault; of several, joined by " + "; ``unexplained`` if none fits.
        explanation: the fault in words.
        residuals: for each tensor that it explains, the largest ``|actual − predicted|`` once the fault is assumed,
            relative to the tensor's largest element; NaN for a wrong shape without an explanation.
        start: the first wrong numbers, in words.
        declare: the words by which the case declares this as intended; empty for none.
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
        """The tensors that it explains."""
        return tuple(self.residuals)

    @property
    def tensor(self) -> str:
        """The first of them."""
        return next(iter(self.residuals), "")

    def __repr__(self) -> str:
        left = f", residual {self.residual:.1e}" if math.isfinite(self.residual) else ""
        return f"<Diagnosis: {self.fault}{left}>"

    def _repr_html_(self) -> str:
        from harness.diagnosis.shown import html_of

        return html_of(self)

    def __str__(self) -> str:
        intended = f" If that is intended, the case should say {self.declare}." if self.declare else ""
        if self.fault == UNEXPLAINED:
            return self.explanation
        left = f" (residual {self.residual:.1e})" if math.isfinite(self.residual) else ""
        return f"{self.fault}: {self.explanation}{left}{intended}"
