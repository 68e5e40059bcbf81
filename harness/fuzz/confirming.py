"""Run a random case like ``harness run``, and report the implementations that are wrong on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from harness.case import ValidCase
from harness.comparison import Comparison
from harness.execution.processes import Workers
from harness.execution.session import CaseOutcome, Judgement, run_case
from harness.execution.session.running import chosen_for
from harness.implementations import Implementation

LIMIT = 30.0
"""Maximum seconds of an implementation for one small case."""

RESTARTS = 1000
"""Maximum restarts of a process that crashes: shrinking a crash crashes it many times."""


@dataclass(frozen=True)
class WrongAnswer:
    """A wrong answer of an implementation on a case.

    Attributes:
        implementation: The implementation's name; the baseline's if that failed.
        verdict: ``mismatch`` or ``error``.
        what: The problem in one line.
        side: The side that the oracle agrees with, in words; empty if no oracle was asked.
    """

    implementation: str
    verdict: str
    what: str
    side: str = ""


class Confirmer:
    """A runner of random cases in processes like those of ``harness run``; a context manager that ends them.

    Args:
        baseline: The implementation with which the others are compared.
        implementations: All implementations of the search.
    """

    def __init__(self, baseline: Implementation, implementations: Sequence[Implementation]) -> None:
        self.baseline = _patient(baseline)
        self.implementations = [_patient(each) for each in implementations if each.name != baseline.name]
        self.workers = Workers()
        self._calls = ThreadPoolExecutor(thread_name_prefix="call")

    def outcome(self, case: ValidCase, names: Sequence[str]) -> CaseOutcome:
        """Run a case through the baseline and the named implementations that take part in it."""
        asked = [each for each in self.implementations if each.name in names]
        return run_case(case, chosen_for(case, asked, self.baseline), self.workers, self._calls, "none")

    def wrong(self, case: ValidCase, names: Sequence[str]) -> list[WrongAnswer]:
        """Return the wrong answers to a case among the named implementations and the baseline."""
        return [each for each in map(_wrong, self.outcome(case, names).judged) if each is not None]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.workers.end()
        self._calls.shutdown(wait=False, cancel_futures=True)


def _patient(implementation: Implementation) -> Implementation:
    framework = replace(implementation.framework, limit=LIMIT, restarts=RESTARTS)
    return replace(implementation, framework=framework)


def _overflows_in_both(comparison: Comparison) -> bool:
    """Return whether two results differ only in elements that are finite in neither.

    A diverging training overflows in every implementation. ``harness run`` reports a mismatch, since such numbers prove
    nothing; they do not prove an implementation wrong either.
    """
    worst = [each.metrics for each in comparison.disagreements]
    return all(
        each is not None and not math.isfinite(each.actual) and not math.isfinite(each.expected) for each in worst
    )


def _wrong(judged: Judgement) -> WrongAnswer | None:
    """Return the wrong answer of one implementation; None if it is right or the baseline failed."""
    verdict = judged.verdict or ("error" if judged.status == "error" else "match")
    if verdict not in ("mismatch", "error") or judged.reason.startswith("there is no baseline"):
        return None
    what = judged.reason
    if judged.status == "ok" and judged.comparison is not None and _overflows_in_both(judged.comparison):
        return None
    if judged.comparison is not None and judged.comparison.disagreements:
        what = "; ".join(filter(None, [str(judged.comparison.disagreements[0]), what]))
    return WrongAnswer(judged.implementation, verdict, what, judged.oracle)
