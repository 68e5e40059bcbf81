"""A mark: the row of one file, made of the JSON that ``harness check --json`` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.candidate.trial.borrowing import KIND as CALLS_THE_REFERENCE
from harness.diagnosis import UNEXPLAINED
from harness.execution.processes.process import NO_ANSWER
from harness.report.table import Row
from harness.tensors import is_gradient

RIGHT, PART, WRONG, BORROWED = "right", "part", "wrong", "calls the reference"
BROKEN, HANGS, NOTHING = "does not run", "hangs", "nothing compared"

COLUMNS = {
    "file": "text",
    "implementation": "text",
    "mark": "text",
    "cases": "count",
    "match": "count",
    "mismatch": "count",
    "error": "count",
    "unsupported": "count",
    "faults": "text",
    "where": "text",  # the first case that is wrong, its tensors, the first wrong numbers
    "missing": "text",  # the gradients that were not returned
    "reason": "text",
    "remarks": "text",
    "seconds": "number",
    "report": "text",  # the page with all of it, from the folder of the marks
    "status": "count",  # the exit status of the check
}


@dataclass(frozen=True)
class Mark:
    """The row of one file; each attribute is a column of ``marks.csv``."""

    file: str
    implementation: str = ""
    mark: str = BROKEN
    cases: int = 0
    match: int = 0
    mismatch: int = 0
    error: int = 0
    unsupported: int = 0
    faults: str = ""
    where: str = ""
    missing: str = ""
    reason: str = ""
    remarks: str = ""
    seconds: float = 0.0
    report: str = ""
    status: int = 0

    @property
    def row(self) -> Row:
        """The row of the table."""
        return asdict(self)

    @property
    def explanation(self) -> str:
        """The reason for the mark in one line; empty for what is right."""
        if self.mark == WRONG:
            return "; ".join(filter(None, [self.faults, self.where]))
        if self.mark == PART:
            return f"not returned: {self.missing}"
        return self.remarks if self.mark == BORROWED else self.reason


def without_result(file: str, mark: str, reason: str, seconds: float, status: int) -> Mark:
    """Return the mark of a file of which nothing was compared."""
    return Mark(file, mark=mark, reason=reason, seconds=seconds, status=status)


def of_check(file: str, found: Mapping[str, Any], seconds: float, report: str) -> Mark:
    """Return the mark of a file.

    Args:
        file: the file, as the row names it.
        found: the JSON of ``harness check``.
        seconds: how long the check took.
        report: its page, from the folder of the marks.
    """
    status = int(found["exit_status"])
    if "refused" in found:
        reason = found["refused"]
        return without_result(file, HANGS if NO_ANSWER in reason else BROKEN, reason, seconds, status)
    results: Sequence[Mapping[str, Any]] = found["results"]
    counts = Counter(each["verdict"] for each in results)
    absent = dict.fromkeys(name for each in results for name in (*each["not_provided"], *each["missing"]))
    missing = [name for name in absent if is_gradient(name)]
    in_part = any(each["absent_weights"] or each["verdict"] == "mismatch" for each in results)
    wrong = [each for each in results if set(each["disagreeing"]) - set(each["missing"])]
    failed = [each for each in results if each["verdict"] == "error" and each not in wrong]
    faults = Counter(each["diagnoses"][0]["fault"] for each in wrong if each["diagnoses"])
    named = [fault for fault, _ in faults.most_common() if fault != UNEXPLAINED]
    remarks = {
        kind: text for row in results for kind, text in zip(row["kinds_of_remarks"], row["remarks"], strict=True)
    }
    borrowed = remarks.get(CALLS_THE_REFERENCE, "")
    mark, reason = RIGHT, ""
    if borrowed:
        mark = BORROWED
    elif failed:
        reason = failed[0]["reason"]
        mark = HANGS if any(NO_ANSWER in each["reason"] for each in failed) else BROKEN
    elif wrong:
        mark = WRONG
    elif counts["match"] + counts["mismatch"] == 0:
        mark, reason = NOTHING, _first(each["reason"] for each in results)
    elif in_part:  # of a weight, or with --require-all of anything
        mark = PART
    return Mark(
        file,
        implementation=", ".join(dict.fromkeys(each["implementation"] for each in results)),
        mark=mark,
        cases=len(results),
        **{verdict: counts[verdict] for verdict in ("match", "mismatch", "error", "unsupported")},
        faults=", ".join(named) or ("no fault of the catalogue" if faults else ""),
        where=_where(wrong[0]) if wrong else "",
        missing=", ".join(missing),
        reason=reason,
        remarks=borrowed or "; ".join(remarks.values()),
        seconds=seconds,
        report=report,
        status=status,
    )


def _where(result: Mapping[str, Any]) -> str:
    """Return where a result is wrong: the case, its tensors, and the first wrong numbers."""
    tensors = [name for name in result["disagreeing"] if name not in result["missing"]]
    start = _first(each["start"] for each in result["diagnoses"])
    return "; ".join(filter(None, [f"{result['case']}: {', '.join(tensors)}", start]))


def _first(texts: Any) -> str:
    return next((text for text in texts if text), "")
