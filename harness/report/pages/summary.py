"""``summary.md``: a page for a pull request, disagreements first."""

from __future__ import annotations

from harness.report.markdown import plain, table
from harness.report.overview import (
    compared_in_part,
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
from harness.terminal.words import counted

FILE = "summary.md"
MAX_ROWS = 50


def text(report: Report) -> str:
    """Return the page."""
    return "\n".join(lines(report)) + "\n"


def lines(report: Report) -> list[str]:
    """Return the page, line by line. Each text from elsewhere passes ``markdown.plain``."""
    page = ["# Gradient comparison", "", plain(status_line(report)), "", plain(floor_line(report)), ""]
    if trained := training_line(report):
        page += [plain(trained), ""]
    if noticed := remarks(report):
        page += ["## Warnings", ""]
        warnings = [f"{each.implementation}: {each.text} ({counted(each.cases, 'case')})" for each in noticed]
        page += [*(f"- {plain(each)}" for each in warnings), ""]
    if wrong := disagreements(report):
        page += ["## Disagreements", "", *table(("case", "implementation", "reason"), wrong[:MAX_ROWS])]
        page += [*_more(len(wrong)), ""]
    page += _faults(report, "Likely cause", documented=False)
    if surprises := [row for row in report["cases"] if not row["as_expected"]]:
        page += ["## Cases not as expected", ""]
        unexpected = [f"{row['case']}: {row['surprise']}" for row in surprises[:MAX_ROWS]]
        page += [*(f"- {plain(each)}" for each in unexpected), ""]
    if ill := ill_conditioned(report):
        page += [
            "## Ill-conditioned",
            "",
            "Rounding alone moves these tensors so far that their comparison shows little.",
            "",
            *table(("case", "tensor", "reason", "floor"), map(_ill, ill[:MAX_ROWS])),
            *_more(len(ill)),
            "",
        ]
    page += _faults(report, "Known mismatches, declared in their case files", documented=True)
    worst = [
        (name, dtype, f"{each.ratio:.3g}", each.case, each.tensor)
        for (name, dtype), each in sorted(worst_ratios(report).items())
    ]
    head = ("implementation", "dtype", "worst", "case", "tensor")
    page += ["## Worst error ratio", "", "A ratio above 1 is a mismatch.", "", *table(head, worst)]
    if absent := not_compared(report):
        rows = [(name, f"{count:,}", reason) for name, count, reason in absent]
        page += ["", "## Not compared", "", *table(("implementation", "cases", "reason"), rows)]
    if partial := compared_in_part(report):
        parts = [(each.implementation, f"{each.cases:,}", each) for each in partial]
        page += ["", "## Partly compared", "", *table(("implementation", "cases", "compared"), parts)]
    versions = [
        (name, ", ".join(f"{module} {version}" for module, version in modules.items()))
        for name, modules in report.environment["frameworks"].items()
    ]
    return [*page, "", "## Versions", "", *table(("process", "modules"), versions)]


def _ill(row: Row) -> tuple[str, ...]:
    return row["case"], row["tensor"], row["remark"], "" if row["floor"] is None else f"{row['floor']:.3g}"


def _more(count: int) -> list[str]:
    return ["", f"{count - MAX_ROWS:,} more in `comparisons.csv`."] if count > MAX_ROWS else []


def _faults(report: Report, title: str, *, documented: bool) -> list[str]:
    faults = explained(report, documented=documented)
    if not faults:
        return []
    head = ("implementation", "fault", "cases", "explanation", "first case")
    rows = [
        (each.implementation, each.fault, f"{each.cases:,}", each.explanation, each.case) for each in faults[:MAX_ROWS]
    ]
    residuals = "`diagnoses.csv` lists each explanation with its residual."
    return [f"## {title}", "", *table(head, rows), "", residuals, ""]
