"""What a tensor's errors mean: match, mismatch or error, and why in words."""

from __future__ import annotations

from typing import Literal

from harness.comparison.metrics import Metrics

Verdict = Literal["match", "mismatch", "error", "unsupported"]

SEVERITY: tuple[Verdict, ...] = ("unsupported", "match", "mismatch", "error")
"""From the least to the worst: the verdict on several tensors is the worst of theirs."""


def of_metrics(metrics: Metrics) -> tuple[Verdict, str]:
    """Judge a tensor whose structure is right by its numbers; return the verdict and the reason."""
    if metrics.became_nonfinite:
        return "error", f"{metrics.became_nonfinite} of {metrics.elements} not finite where the baseline is finite"
    if metrics.failed:
        return "mismatch", f"{metrics.failed} of {metrics.elements} elements outside the tolerance"
    return "match", ""
