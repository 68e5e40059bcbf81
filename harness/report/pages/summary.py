"""``summary.md``: a page for a pull request. What disagrees comes first."""

from __future__ import annotations

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

FILE = "summary.md"
MAX_ROWS = 50


def text(report: Report) -> str:
    """Return the page."""
    return "\n".join(lines(report)) + "\n"


def lines(report: Report) -> list[str]:
    """Return the page, line by line."""
    page = ["# Gradient comparison", "", status_line(report), "", floor_line(report), ""]
    if trained := training_line(report):
        page += [trained, ""]
    if noticed := remarks(report):
        page += ["## First of all", ""]
        page += [f"- {each.implementation}: {_cell(each.text)} ({counted(each.cases, 'case')})" for each in noticed]
        page.append("")
    wrong = disagreements(report)
    if wrong:
        page += ["## What disagrees", "", "| case | implementation | what |", "| --- | --- | --- |"]
        page += [f"| {_cell(case)} | {_cell(name)} | {_cell(what)} |" for case, name, what in wrong[:MAX_ROWS]]
        if len(wrong) > MAX_ROWS:
            page += ["", f"{len(wrong) - MAX_ROWS} more in `comparisons.csv`."]
        page.append("")
    page += _faults(report, "What the numbers say the fault is", documented=False)
    if surprises := [row for row in report["cases"] if not row["as_expected"]]:
        page += ["## Cases that did not come out as their files say", ""]
        page += [f"- `{row['case']}`: {row['surprise']}" for row in surprises[:MAX_ROWS]]
        page.append("")
    if ill := ill_conditioned(report):
        page += [
            "## Ill-conditioned",
            "",
            "Rounding alone moves these tensors so far that their comparison can say little.",
            "",
            "| case | tensor | why | floor |",
            "| --- | --- | --- | --- |",
        ]
        for row in ill[:MAX_ROWS]:
            shown = "" if row["floor"] is None else f"{row['floor']:.3g}"
            page.append(f"| {_cell(row['case'])} | {_cell(row['tensor'])} | {_cell(row['remark'])} | {shown} |")
        if len(ill) > MAX_ROWS:
            page += ["", f"{len(ill) - MAX_ROWS} more in `comparisons.csv`."]
        page.append("")
    page += _faults(report, "Mismatches that case files expect, and what the numbers say of them", documented=True)
    page += [
        "## Worst error ratio",
        "",
        "Above 1 is a mismatch.",
        "",
        "| implementation | dtype | worst | case | tensor |",
    ]
    page += ["| --- | --- | --- | --- | --- |"]
    page += [
        f"| {name} | {dtype} | {worst.ratio:.3g} | {_cell(worst.case)} | {worst.tensor} |"
        for (name, dtype), worst in sorted(worst_ratios(report).items())
    ]
    if absent := not_compared(report):
        page += ["", "## Not compared", "", "| implementation | cases | reason |", "| --- | --- | --- |"]
        page += [f"| {name} | {count} | {_cell(reason)} |" for name, count, reason in absent]
    if partial := compared_in_part(report):
        page += ["", "## Compared in part", "", "| implementation | cases | what was compared |"]
        page += ["| --- | --- | --- |", *(f"| {each.implementation} | {each.cases} | {each} |" for each in partial)]
    page += ["", "## Versions", "", "| process | modules |", "| --- | --- |"]
    for name, versions in report.environment["frameworks"].items():
        page.append(f"| {name} | {', '.join(f'{module} {each}' for module, each in versions.items())} |")
    return page


def _faults(report: Report, title: str, *, documented: bool) -> list[str]:
    faults = explained(report, documented=documented)
    if not faults:
        return []
    rows = []
    for each in faults[:MAX_ROWS]:
        name, text, first = (_cell(part) for part in (each.implementation, each.explanation, each.case))
        rows.append(f"| {name} | {each.fault} | {each.cases} | {text} | {first} |")
    head = ["| implementation | fault | cases | what it is | first on |", "| --- | --- | --- | --- | --- |"]
    return [f"## {title}", "", *head, *rows, "", "Each explanation with its residual stands in `diagnoses.csv`.", ""]


def _cell(text: str) -> str:
    """Escape what would end a table's cell or row, or be read as markup."""
    for mark in "\\|<>`*_[]":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
