"""Whose side the oracle is on where an implementation disagrees with the baseline."""

from __future__ import annotations

from collections.abc import Mapping

from harness.comparison import Comparison, compare
from harness.problem import Problem
from harness.result import Result


def side(
    implementation: str,
    comparison: Comparison,
    oracle: str,
    baseline: str,
    results: Mapping[str, Result],
    problem: Problem,
    noise: Mapping[str, float],
) -> str:
    """Say whom the oracle agrees with on the tensors that are disputed; empty if it has nothing to say.

    Args:
        implementation: who disagrees with the baseline.
        comparison: of the two.
        oracle: the oracle's name.
        baseline: the baseline's name.
        results: of all three, by name.
        problem: the problem.
        noise: how far rounding alone moves each tensor, absolute.
    """
    known = results[oracle].tensors  # of a training it may know nothing
    disputed = [each.tensor for each in comparison.disagreements if each.tensor in noise and each.tensor in known]
    if implementation == oracle or not disputed:
        return f"{oracle} is the oracle: {baseline} is wrong" if disputed else ""

    def agrees(name: str) -> bool:
        return all(
            compare(
                results[name].only({tensor}),
                results[oracle].only({tensor}),
                tolerance=problem.case.tolerance,
                noise=noise,
                nonfinite=problem.case.nonfinite,
                collect="none",
            ).matches
            for tensor in disputed
        )

    right = [name for name in (baseline, implementation) if agrees(name)]
    if len(right) == 1:
        return f"{oracle} agrees with {right[0]}"
    return f"{oracle} agrees with both" if right else f"{oracle} agrees with neither"
