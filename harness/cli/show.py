"""``harness show``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import report_from
from harness.terminal import write_json


@click.command("show")
@click.argument("folder", metavar="[REPORT]", type=click.Path(path_type=Path), default=Path("reports/latest"))
@click.option("--case", "names", metavar="CASE", multiple=True, help="Show every tensor of this case; can be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print the tables as JSON.")
def command(folder: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Show a report in the terminal; default: reports/latest."""
    from harness.cli.overview import show_case, show_report

    report = report_from(folder)
    there = [row["case"] for row in report["cases"]]
    for name in names:
        if name not in there:
            from harness.casefile import nearest

            hint = nearest(name, there) or f"the report has {len(there):,} cases: {', '.join(there[:3])}, ..."
            raise click.UsageError(f"{folder} has no case {name!r}; {hint}")
    if as_json:
        tables = {
            table: [row for row in rows if not names or row["case"] in names] for table, rows in report.tables.items()
        }
        write_json({"environment": report.environment, **tables})
    elif names:
        for name in names:
            show_case(report, name)
    else:
        show_report(report, folder)
