"""A report in the terminal, disagreements first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.screen import table

if TYPE_CHECKING:
    from harness.report import Report
    from harness.report.table import Row

MAX_SHOWN = 20
MAX_ILL = 5


def show_report(report: Report, folder: Path) -> None:
    """Print a report.

    Args:
        report: the report.
        folder: its folder.
    """
    from harness.report import overview

    wrong = overview.disagreements(report)
    if wrong:
        table("Disagreements", ["case", "implementation", "reason"], wrong[:MAX_SHOWN])
        _more(len(wrong), folder / "comparisons.csv")
    _faults(report, "Likely cause (more in diagnoses.csv)", documented=False)
    for row in report["cases"]:
        if row["expect"] == "mismatch" and not row["as_expected"]:
            click.echo(f"{row['case']}: {row['surprise']}")
    worst = sorted(overview.worst_ratios(report).items())
    if worst:
        rows = [[name, dtype, f"{each.ratio:.3g}", each.tensor, each.case] for (name, dtype), each in worst]
        table("Worst error ratio (above 1 is a mismatch)", ["implementation", "dtype", "worst", "tensor", "case"], rows)
    _faults(report, "Known mismatches, declared in their case files", documented=True)
    if absent := overview.not_compared(report):
        rows = [[name, f"{count:,}", reason] for name, count, reason in absent]
        table("Not compared", ["implementation", "cases", "reason"], rows)
    if partial := overview.compared_in_part(report):
        rows = [[each.implementation, f"{each.cases:,}", str(each)] for each in partial]
        table("Partly compared", ["implementation", "cases", "compared"], rows)
    if ill := overview.ill_conditioned(report):
        rows = [[row["case"], row["tensor"], row["remark"]] for row in ill[:MAX_ILL]]
        table("Ill-conditioned: rounding explains the difference", ["case", "tensor", "reason"], rows)
        _more(len(ill), folder / "summary.md", MAX_ILL)
    click.echo(overview.status_line(report))
    click.echo(overview.floor_line(report))
    if trained := overview.training_line(report):
        click.echo(trained)
    click.echo(f"{report.environment['seconds']:.1f} s; the report is in {folder}")


def _faults(report: Report, title: str, *, documented: bool) -> None:
    from harness.report import overview

    if faults := overview.explained(report, documented=documented):
        columns = ["implementation", "fault", "cases", "explanation"]
        rows = [[each.implementation, each.fault, f"{each.cases:,}", each.explanation] for each in faults[:MAX_SHOWN]]
        table(title, columns, rows)


def _more(count: int, where: Path, shown: int = MAX_SHOWN) -> None:
    if count > shown:
        click.echo(f"... and {count - shown:,} more in {where}\n")


def show_case(report: Report, name: str) -> None:
    """Print one case of a report: its purpose, every tensor of every implementation, and the diagnoses."""
    from harness.report import overview
    from harness.report.again import again

    case = next(row for row in report["cases"] if row["case"] == name)
    click.echo(f"{name}: {case['surprise'] or case['verdict']}\n  {case['about']}\n")
    of_case = [row for row in report["comparisons"] if row["case"] == name]
    implementations = dict.fromkeys(row["implementation"] for row in of_case if row["elements"])
    cells = {(row["tensor"], row["implementation"]): _ratio_of(row) for row in of_case}
    rows = [
        [tensor, *(cells.get((tensor, implementation), "") for implementation in implementations)]
        for tensor in dict.fromkeys(row["tensor"] for row in of_case)
    ]
    baseline = of_case[0]["baseline"] if of_case else report.environment["baseline"]
    table(f"Error ratio against {baseline} (above 1 is a mismatch)", ["tensor", *implementations], rows)
    for row in of_case:
        if row["verdict"] in ("mismatch", "error"):
            click.echo(f"{row['implementation']}, {overview.in_words(row)}")
    diagnoses = dict.fromkeys(
        (row["implementation"], row["fault"], row["explanation"]) for row in report["diagnoses"] if row["case"] == name
    )
    for implementation, fault, explanation in diagnoses:
        click.echo(f"{implementation}, {fault}: {explanation}")
    for row in report["runs"]:
        if row["case"] == name and row["verdict"] in ("unsupported", "error"):
            click.echo(f"{row['implementation']}, {row['verdict']}: {row['reason']}")
    if name.isprintable():
        click.echo(f"next: {again(report.environment).for_case(name)}")


def _ratio_of(row: Row) -> str:
    """Return a tensor's error ratio and, if it is wrong, its verdict."""
    ratio = "" if row["error_ratio"] is None else f"{row['error_ratio']:.3g}"
    if row["verdict"] in ("mismatch", "error"):
        return f"{ratio} {row['verdict']}".strip()
    return ratio
