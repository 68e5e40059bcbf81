"""``harness schema``."""

from __future__ import annotations

import click

from harness.terminal import write_json


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of case files, for editors."""
    from harness.case.json_schema import json_schema

    write_json(json_schema())
