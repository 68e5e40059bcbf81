"""``summary.md``: a page for a pull request. What disagrees comes first."""

from __future__ import annotations

from pathlib import Path

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
from harness.session import Run

FILE = "summary.md"
MAX_ROWS = 50


def write(run: Run, path: Path) -> None:
    """Write the file."""
    path.write_text("\n".join(lines(run)) + "\n", encoding="utf-8")


def lines(run: Run) -> list[str]:
    """Return the page, line by line."""
    page = ["# Gradient comparison", "", status_line(run), "", floor_line(run), ""]
    if trained := training_line(run):
        page += [trained, ""]
    if noticed := remarks(run):
        page += ["## First of all", ""]
        page += [f"- {each.implementation}: {_cell(each.text)} ({each.cases} cases)" for each in noticed]
        page.append("")
    wrong = disagreements(run)
    if wrong:
        page += ["## What disagrees", "", "| case | implementation | what |", "| --- | --- | --- |"]
        page += [f"| {_cell(case)} | {_cell(name)} | {_cell(what)} |" for case, name, what in wrong[:MAX_ROWS]]
        if len(wrong) > MAX_ROWS:
            page += ["", f"{len(wrong) - MAX_ROWS} more in `comparisons.csv`."]
        page.append("")
    if faults := explained(run):
        page += [
            "## What the numbers say the fault is",
            "",
            "| implementation | fault | cases | what it is | first on |",
            "| --- | --- | --- | --- | --- |",
        ]
        for each in faults[:MAX_ROWS]:
            name, text, first = (_cell(part) for part in (each.implementation, each.explanation, each.case))
            page.append(f"| {name} | {each.fault} | {each.cases} | {text} | {first} |")
        page += ["", "Each explanation with its residual stands in `diagnoses.csv`.", ""]
    if surprises := run.surprises:
        page += ["## Cases that did not come out as their files say", ""]
        page += [f"- `{outcome.case.name}`: {outcome.surprise}" for outcome in surprises[:MAX_ROWS]]
        page.append("")
    if ill := ill_conditioned(run):
        page += [
            "## Ill-conditioned",
            "",
            "Rounding alone moves these tensors so far that their comparison can say little.",
            "",
            "| case | tensor | why | floor |",
            "| --- | --- | --- | --- |",
        ]
        floors = {outcome.case.name: outcome.floors.largest for outcome in run.outcomes}
        for case, tensor, reason in ill[:MAX_ROWS]:
            floor = floors[case].get(tensor)
            shown = "" if floor is None else f"{floor:.3g}"
            page.append(f"| {_cell(case)} | {_cell(tensor)} | {_cell(reason)} | {shown} |")
        if len(ill) > MAX_ROWS:
            page += ["", f"{len(ill) - MAX_ROWS} more in `comparisons.csv`."]
        page.append("")
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
        for (name, dtype), worst in sorted(worst_ratios(run).items())
    ]
    if absent := not_compared(run):
        page += ["", "## Not compared", "", "| implementation | cases | reason |", "| --- | --- | --- |"]
        page += [f"| {name} | {count} | {_cell(reason)} |" for name, count, reason in absent]
    if partial := compared_in_part(run):
        page += ["", "## Compared in part", "", "| implementation | cases | what was compared |"]
        page += ["| --- | --- | --- |", *(f"| {each.implementation} | {each.cases} | {each} |" for each in partial)]
    page += ["", "## Versions", "", "| process | modules |", "| --- | --- |"]
    for name, versions in sorted(run.versions.items()):
        page.append(f"| {name} | {', '.join(f'{module} {each}' for module, each in versions.items())} |")
    return page


def _cell(text: str) -> str:
    """Escape what would end a table's cell or row, or be read as markup."""
    for mark in "\\|<>`*_[]":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
