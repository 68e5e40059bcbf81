"""The verdict on a tensor's errors: match, mismatch or error, with the reason."""

from __future__ import annotations

from typing import Literal

from harness.comparison.metrics import Metrics

Verdict = Literal["match", "mismatch", "error", "unsupported"]

SEVERITY: tuple[Verdict, ...] = ("unsupported", "match", "mismatch", "error")
"""From best to worst: the verdict on several tensors is the worst of their verdicts."""


def of_metrics(metrics: Metrics) -> tuple[Verdict, str]:
    """Judge a tensor whose structure is right by its numbers; return the verdict and the reason."""
    if metrics.became_nonfinite:
        count = f"{metrics.became_nonfinite:,} of {metrics.elements:,} elements"
        return "error", f"{count} not finite where the baseline is finite"
    if metrics.failed:
        return "mismatch", f"{metrics.failed:,} of {metrics.elements:,} elements outside the tolerance"
    return "match", ""
