"""``runs.csv``: a row for each case and implementation, the baseline included."""

from __future__ import annotations

from collections.abc import Iterator

from harness.execution.session import Run
from harness.report.table import Row

FILE = "runs.csv"

COLUMNS = {
    "case": "text",
    "implementation": "text",
    "status": "text",
    "loss": "number",
    "seconds": "number",
    "version": "text",
    "reason": "text",
    "verdict": "text",  # the verdict of the comparison; empty for the baseline
    "oracle": "text",  # the side that the oracle agrees with
    "since": "text",  # the date of the first of the reports, one written over the other, in which it disagrees
    "detail": "text",  # a traceback, or the last lines of the standard error
}


def rows(run: Run) -> Iterator[Row]:
    """Yield the rows."""
    for outcome in run.outcomes:
        for each in outcome.judged:
            yield {
                "case": outcome.case.name,
                "implementation": each.implementation,
                "status": each.status,
                "loss": each.loss,
                "seconds": each.seconds,
                "version": _version(run, run.processes.get(each.implementation, "")),
                "reason": "; ".join(filter(None, [each.reason, *(remark.text for remark in each.remarks)])),
                "verdict": each.verdict or "",
                "oracle": each.oracle,
                "since": "",
                "detail": each.detail,
            }


def _version(run: Run, framework: str) -> str:
    return ", ".join(f"{module} {version}" for module, version in run.versions.get(framework, {}).items())
