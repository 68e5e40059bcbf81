"""The head of a page: whether all is well, in words, and the numbers that say of how much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.report import overview
from harness.report.report import Report
from harness.terminal.words import counted, plural

MAX_NAMED = 3
"""Maximum number of causes that a banner names, and of implementations."""


@dataclass(frozen=True)
class Fact:
    """A number of a banner.

    Attributes:
        name: The noun that is counted, as it is written for this number.
        number: The number.
        bad: True if the number counts failures.
    """

    name: str
    number: int
    bad: bool = False


@dataclass(frozen=True)
class Banner:
    """The head of a page. ``banner.html.j2`` shows it.

    Attributes:
        kind: The class of its colours.
        title: The result in a word or two.
        text: The result in a sentence.
        facts: The numbers.
        lines: Sentences below them.
    """

    kind: Literal["passed", "failed", "nothing"]
    title: str
    text: str
    facts: Sequence[Fact] = ()
    lines: Sequence[str] = field(default_factory=tuple)


def banner_of(report: Report) -> Banner:
    """Return the banner of a report."""
    cases, tensors = report["cases"], overview.compared(report)
    runs = [row for row in report["runs"] if row["verdict"]]
    verdicts = Counter(row["verdict"] for row in runs)
    names = {row["implementation"] for row in runs}
    facts = [Fact(plural(len(cases), "case"), len(cases))]
    facts.append(Fact(f"{plural(len(names), 'implementation')} beside {_baseline(report)}", len(names)))
    plurals = (("mismatch", "es"), ("error", "s"), ("match", "es"))
    facts += [
        Fact(plural(verdicts[verdict], verdict, ending), verdicts[verdict], bad=verdict != "match")
        for verdict, ending in plurals
        if verdicts[verdict]
    ]
    facts += [Fact("unsupported", verdicts["unsupported"])] if verdicts["unsupported"] else []
    elements = sum(row["elements"] for row in tensors)
    facts += [Fact(plural(len(tensors), "tensor"), len(tensors))] if tensors else []
    facts += [Fact(f"{plural(elements, 'element')} compared", elements)] if tensors else []
    kind, text = _result(report)
    title = {"passed": "Passed", "failed": "Failed", "nothing": "Nothing was compared"}[kind]
    return Banner(kind, title, text, facts, [overview.floor_line(report)])


def _baseline(report: Report) -> str:
    return str(report.environment["baseline"])


def _result(report: Report) -> tuple[Literal["passed", "failed", "nothing"], str]:
    """Return the kind of a banner, and its sentence."""
    cases = report["cases"]
    surprises = sum(not row["as_expected"] for row in cases)
    broken = sum("error" in (row["status"], row["verdict"]) for row in report["runs"])
    if surprises:
        which = "The one case is" if len(cases) == 1 else f"{surprises:,} of {len(cases):,} cases are"
        return "failed", f"{which} not as expected. {_causes(report)}".strip()
    if broken:
        return "failed", f"{counted(broken, 'error')} in {counted(len(cases), 'case')}. {_causes(report)}".strip()
    if not overview.compared(report):
        return "nothing", f"No implementation was compared in {counted(len(cases), 'case')}."
    known = sum(row["expect"] == "mismatch" for row in cases)
    declared = f", {counted(known, 'known mismatch', 'es')} among them" if known else ""
    which = "The one case is" if len(cases) == 1 else f"All {len(cases):,} cases are"
    return "passed", f"{which} as expected{declared}. Mismatches: none. Errors: none."


def _causes(report: Report) -> str:
    """Return the implementations that failed, with their faults if there are few."""
    found = overview.what_is_wrong(report)
    names = list(dict.fromkeys(each.implementation for each in found))
    if len(found) > MAX_NAMED:
        shown = ", ".join(names[:MAX_NAMED])
        more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
        return f"{counted(len(names), 'implementation')} failed: {shown}{more}."
    named = [f"{each.implementation}: {each.fault or each.verdict} in {counted(each.cases, 'case')}" for each in found]
    return f"{'; '.join(named)}." if named else ""
