"""``summary.md``: a page for a pull request. What disagrees comes first."""

from __future__ import annotations

from harness.report.markdown import plain, table
from harness.report.overview import (
    compared_in_part,
    counted,
    disagreements,
    explained,
    floor_line,
    ill_conditioned,
    not_compared,
    remarks,
    status_line,
    training_line,
    worst_ratios,
)
from harness.report.report import Report
from harness.report.table import Row

FILE = "summary.md"
MAX_ROWS = 50


def text(report: Report) -> str:
    """Return the page."""
    return "\n".join(lines(report)) + "\n"


def lines(report: Report) -> list[str]:
    """Return the page, line by line. Each text that is not written here passes ``markdown.plain``."""
    page = ["# Gradient comparison", "", plain(status_line(report)), "", plain(floor_line(report)), ""]
    if trained := training_line(report):
        page += [plain(trained), ""]
    if noticed := remarks(report):
        page += ["## First of all", ""]
        told = [f"{each.implementation}: {each.text} ({counted(each.cases, 'case')})" for each in noticed]
        page += [*(f"- {plain(each)}" for each in told), ""]
    if wrong := disagreements(report):
        page += ["## What disagrees", "", *table(("case", "implementation", "what"), wrong[:MAX_ROWS])]
        page += [*_more(len(wrong)), ""]
    page += _faults(report, "What the numbers say the fault is", documented=False)
    if surprises := [row for row in report["cases"] if not row["as_expected"]]:
        page += ["## Cases that did not come out as their files say", ""]
        told = [f"{row['case']}: {row['surprise']}" for row in surprises[:MAX_ROWS]]
        page += [*(f"- {plain(each)}" for each in told), ""]
    if ill := ill_conditioned(report):
        page += [
            "## Ill-conditioned",
            "",
            "Rounding alone moves these tensors so far that their comparison can say little.",
            "",
            *table(("case", "tensor", "why", "floor"), map(_ill, ill[:MAX_ROWS])),
            *_more(len(ill)),
            "",
        ]
    page += _faults(report, "Mismatches that case files expect, and what the numbers say of them", documented=True)
    worst = [
        (name, dtype, f"{each.ratio:.3g}", each.case, each.tensor)
        for (name, dtype), each in sorted(worst_ratios(report).items())
    ]
    head = ("implementation", "dtype", "worst", "case", "tensor")
    page += ["## Worst error ratio", "", "Above 1 is a mismatch.", "", *table(head, worst)]
    if absent := not_compared(report):
        page += ["", "## Not compared", "", *table(("implementation", "cases", "reason"), absent)]
    if partial := compared_in_part(report):
        rows = [(each.implementation, each.cases, each) for each in partial]
        page += ["", "## Compared in part", "", *table(("implementation", "cases", "what was compared"), rows)]
    versions = [
        (name, ", ".join(f"{module} {version}" for module, version in modules.items()))
        for name, modules in report.environment["frameworks"].items()
    ]
    return [*page, "", "## Versions", "", *table(("process", "modules"), versions)]


def _ill(row: Row) -> tuple[str, ...]:
    return row["case"], row["tensor"], row["remark"], "" if row["floor"] is None else f"{row['floor']:.3g}"


def _more(count: int) -> list[str]:
    return ["", f"{count - MAX_ROWS} more in `comparisons.csv`."] if count > MAX_ROWS else []


def _faults(report: Report, title: str, *, documented: bool) -> list[str]:
    faults = explained(report, documented=documented)
    if not faults:
        return []
    head = ("implementation", "fault", "cases", "what it is", "first on")
    rows = [(each.implementation, each.fault, each.cases, each.explanation, each.case) for each in faults[:MAX_ROWS]]
    residuals = "Each explanation with its residual stands in `diagnoses.csv`."
    return [f"## {title}", "", *table(head, rows), "", residuals, ""]
