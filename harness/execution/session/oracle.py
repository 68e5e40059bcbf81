"""Whose side the oracle is on where an implementation disagrees with the baseline."""

from __future__ import annotations

from collections.abc import Mapping

from harness.comparison import ComparisonPolicy, compare
from harness.execution.session.answers import Standard
from harness.execution.session.outcomes import Judgement
from harness.result import Result


def side(judged: Judgement, oracle: str, baseline: str, results: Mapping[str, Result], standard: Standard) -> str:
    """Return which of two the oracle agrees with on the tensors that are disputed; empty if it has none of them.

    Args:
        judged: the implementation that disagrees with the baseline.
        oracle: the oracle's name.
        baseline: the baseline's name.
        results: of all three, by name.
        standard: the standard of the problem.
    """
    assert judged.comparison is not None
    noise, case = standard.noise, standard.problem.case
    known = results[oracle].tensors  # of a training it may know nothing
    disputed = [
        each.tensor for each in judged.comparison.disagreements if each.tensor in noise and each.tensor in known
    ]
    if judged.implementation == oracle or not disputed:
        return f"{oracle} is the oracle: {baseline} is wrong" if disputed else ""
    policy = ComparisonPolicy(tolerance=case.tolerance, noise=noise, nonfinite=case.nonfinite, collect="none")

    def agrees(name: str) -> bool:
        return all(
            compare(results[name].only({tensor}), results[oracle].only({tensor}), policy).matches for tensor in disputed
        )

    right = [name for name in (baseline, judged.implementation) if agrees(name)]
    if len(right) == 1:
        return f"{oracle} agrees with {right[0]}"
    return f"{oracle} agrees with both" if right else f"{oracle} agrees with neither"
