"""A run: cases through implementations, each compared with the baseline.

A ``Standard`` judges an answer: the baseline's answer, the case's tolerance, the rounding noise and the error floor.
Every door uses it (the commands, pytest, ``harness.compare``), so that all agree tensor by tensor. An executor decides
where a question is answered, and nothing else.
"""

from typing import TYPE_CHECKING

from harness.deferred import by_module

if TYPE_CHECKING:
    from harness.execution.session.answers import Standard, compare_for, on_its_own
    from harness.execution.session.examiner import Examiner, diagnose_result
    from harness.execution.session.outcomes import CaseNumbers, CaseOutcome, Judgement, Run
    from harness.execution.session.running import (
        DEFAULT_BASELINE,
        baseline_for,
        chosen_for,
        execute,
        frameworks_for,
        not_here,
        not_installed,
        run_case,
    )

__all__ = [
    "DEFAULT_BASELINE",
    "CaseNumbers",
    "CaseOutcome",
    "Examiner",
    "Judgement",
    "Run",
    "Standard",
    "baseline_for",
    "chosen_for",
    "compare_for",
    "diagnose_result",
    "execute",
    "frameworks_for",
    "not_here",
    "not_installed",
    "on_its_own",
    "run_case",
]

__getattr__ = by_module(
    __name__,
    {
        "answers": (
            "Standard",
            "compare_for",
            "on_its_own",
        ),
        "examiner": (
            "Examiner",
            "diagnose_result",
        ),
        "outcomes": (
            "CaseNumbers",
            "CaseOutcome",
            "Judgement",
            "Run",
        ),
        "running": (
            "DEFAULT_BASELINE",
            "baseline_for",
            "chosen_for",
            "execute",
            "frameworks_for",
            "not_here",
            "not_installed",
            "run_case",
        ),
    },
)
