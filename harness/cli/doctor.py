"""``harness doctor``."""

from __future__ import annotations

from typing import Any

import click

from harness.cli.exits import Exit
from harness.terminal import write_json


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> None:
    """Start every framework; show versions, threads, the handling of subnormal numbers, and what is missing."""
    from harness.execution.cache import Store, place
    from harness.execution.probe import examine
    from harness.execution.processes import Workers
    from harness.execution.session import Run
    from harness.implementations import implementations
    from harness.report.environment import described

    with Workers() as workers:
        findings = examine(list(implementations().values()), workers)
        run = Run("numpy-split", tuple(implementations()), [], workers.versions(), workers.seconds_to_import())
        environment = described(run)
    entries, size = Store(place()).contents()
    environment["cache"] = {"folder": str(place()), "answers": entries, "bytes": size}
    if as_json:
        write_json({"environment": environment, "implementations": findings})
    else:
        _print(findings, environment)
    if any(finding["status"] == "error" for finding in findings):
        raise click.exceptions.Exit(Exit.IMPLEMENTATION_FAILED)


def _print(findings: list[dict[str, Any]], environment: dict[str, Any]) -> None:
    from harness.cli.screen import table

    seconds = environment["seconds_to_import"]
    rows = [
        [name, ", ".join(f"{module} {version}" for module, version in versions.items()), f"{seconds[name]:.1f} s"]
        for name, versions in environment["frameworks"].items()
    ]
    table("Processes", ["process", "modules", "import"], rows)
    rows = [[each["implementation"], each["status"], each["subnormals"], each["reason"]] for each in findings]
    table("Implementations", ["implementation", "status", "subnormals", "reason"], rows)
    threads = ", ".join(f"{name}={value}" for name, value in environment["threads"].items())
    click.echo(f"harness {environment['harness']}, Python {environment['python']}, {environment['platform']}")
    gigabytes = environment["memory_bytes"] / 2**30
    click.echo(f"{environment['processors']} processors, {gigabytes:.1f} GiB of memory; each process has {threads}")
    cache = environment["cache"]
    click.echo(f"The cache in {cache['folder']} holds {cache['answers']:,} answers, {cache['bytes'] / 2**20:,.1f} MiB.")
