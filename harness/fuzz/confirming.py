"""A random case run as ``harness run`` runs any other: what is wrong with an implementation on it, if anything is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from harness.case import Case
from harness.comparison import Comparison
from harness.execution.processes import Workers
from harness.execution.session import CaseOutcome, Judgement, run_case
from harness.execution.session.running import chosen_for
from harness.implementations import Implementation

LIMIT = 30.0
"""Seconds that an implementation may take for one small case."""

RESTARTS = 1000
"""A process that crashes is started again for the next case: shrinking a crash crashes it many times."""


@dataclass(frozen=True)
class Wrong:
    """What is wrong with an implementation on a case.

    Attributes:
        implementation: its name; that of the baseline if that failed.
        verdict: ``mismatch`` or ``error``.
        what: in one line.
        side: whom the oracle agrees with, in words; empty if none was asked.
    """

    implementation: str
    verdict: str
    what: str
    side: str = ""


class Confirmer:
    """Runs random cases in processes as ``harness run`` has them. A context manager that ends these.

    Args:
        baseline: what the others are compared with.
        implementations: all that are searched.
    """

    def __init__(self, baseline: Implementation, implementations: Sequence[Implementation]) -> None:
        self.baseline = _patient(baseline)
        self.implementations = [_patient(each) for each in implementations if each.name != baseline.name]
        self.workers = Workers()
        self._calls = ThreadPoolExecutor(thread_name_prefix="call")

    def outcome(self, case: Case, names: Sequence[str]) -> CaseOutcome:
        """Run a case through the baseline and some of the implementations, those that take part in it."""
        asked = [each for each in self.implementations if each.name in names]
        return run_case(case, chosen_for(case, asked, self.baseline), self.workers, self._calls, "none")

    def wrong(self, case: Case, names: Sequence[str]) -> list[Wrong]:
        """Return what is wrong on a case with some of the implementations, or with the baseline."""
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
    """Tell whether all that two disagree on is what neither of them has a finite number for.

    A training that diverges overflows in everybody. ``harness run`` calls that a mismatch, since such numbers prove
    nothing; of an implementation they say as little.
    """
    worst = [each.metrics for each in comparison.disagreements]
    return all(
        each is not None and not math.isfinite(each.actual) and not math.isfinite(each.expected) for each in worst
    )


def _wrong(judged: Judgement) -> Wrong | None:
    """Return what is wrong with one implementation, if anything is; nobody is wrong where the baseline failed."""
    verdict = judged.verdict or ("error" if judged.status == "error" else "match")
    if verdict not in ("mismatch", "error") or judged.reason.startswith("there is no baseline"):
        return None
    told = judged.reason
    if judged.status == "ok" and judged.comparison is not None and _overflows_in_both(judged.comparison):
        return None
    if judged.comparison is not None and judged.comparison.disagreements:
        told = "; ".join(filter(None, [str(judged.comparison.disagreements[0]), told]))
    return Wrong(judged.implementation, verdict, told, judged.oracle)
