"""Writes docs/commands.md, the reference of the command line, from the commands themselves: ``make commands``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from harness.cli.exits import MEANINGS
from harness.cli.group import command_line

PAGE = Path(__file__).parent / "commands.md"
HEAD = """\
# Commands

`make commands` writes this page from `harness COMMAND --help`, and a test keeps the two the same. Results go to
standard output, progress and warnings to standard error. CASE is a file, a folder, or a case's name, such as
`basic/tanh`; one combination of a sweep is `'basic/tanh[dtype=float32]'`.
Some of its values choose all combinations that have them: `'cells/gru[layers=1]'`.

Control characters from a case file or from your code's messages are shown as escapes, such as `\\x1b`. So are
characters that the output's encoding lacks. `--json` prints ASCII; NaN and infinities, which JSON lacks, are
the strings `"NaN"`, `"Infinity"` and `"-Infinity"`.
"""


def text() -> str:
    """Return the page."""
    root = click.Context(command_line, info_name="harness", **command_line.context_settings)
    found = list(_commands(command_line, root))
    summaries = [
        (f"[`{name}`](#{name.replace(' ', '-')})", command.get_short_help_str(200)) for name, command, _ in found
    ]
    parts = [HEAD, *_table(("command", "does"), summaries), "", "## Exit status", ""]
    statuses = [(str(int(status)), meaning) for status, meaning in MEANINGS.items()]
    parts += [*_table(("status", "means"), statuses), ""]
    for name, command, context in found:
        parts += [f"## {name}", "", "```text", _usage(command, context), "```", ""]
        parts += _paragraphs(command.help or "")
        options = [each.get_help_record(context) for each in command.params if isinstance(each, click.Option)]
        if options:
            parts += [*_table(("option", ""), [(f"`{each[0]}`", each[1]) for each in options if each]), ""]
    return "\n".join(parts).rstrip() + "\n"


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield every command that does something, with its whole name."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)
        else:
            yield inner.command_path, command, inner


def _usage(command: click.Command, context: click.Context) -> str:
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def _paragraphs(help_text: str) -> Iterator[str]:
    """Yield the help, a paragraph a line, as click fills paragraphs."""
    for paragraph in re.split(r"\n\s*\n", help_text.strip()):
        yield from (" ".join(paragraph.split()), "")


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> Iterator[str]:
    yield f"| {head[0]} | {head[1]} |"
    yield "| --- | --- |"
    for left, right in rows:
        yield "| {} | {} |".format(left.replace("|", "\\|"), " ".join(right.split()).replace("|", "\\|"))


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
