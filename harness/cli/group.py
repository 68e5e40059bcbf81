"""The command ``harness`` with its commands, each of which is imported when it is called."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from importlib import import_module
from pkgutil import iter_modules

import click

import harness.cli
from harness.cli.exits import MEANINGS, Exit

NAME = "harness"
COMPLETE = "_HARNESS_COMPLETE"
"""The environment variable by which a shell asks for completions."""

NO_COMMANDS = {"exits", "group", "options", "overview", "screen"}
"""The modules in this folder that are not commands."""


class Commands(click.Group):
    """The commands: every module of this package that has a ``command``."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of all commands."""
        del context
        names = [module.name.removesuffix("_command") for module in iter_modules(harness.cli.__path__)]
        return [name for name in names if name not in NO_COMMANDS]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import and return a command; None if no command has this name."""
        if name not in self.list_commands(context):
            return None
        modules = {module.name for module in iter_modules(harness.cli.__path__)}
        module = import_module(f"{harness.cli.__name__}.{name if name in modules else f'{name}_command'}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the user typed, or suggest the nearest one."""
        if args and self.get_command(context, args[0]) is None and not args[0].startswith("-"):
            from harness.casefile import nearest

            names = self.list_commands(context)
            hint = nearest(args[0], names) or f"there are {', '.join(names)}"
            context.fail(f"there is no command {args[0]!r}; {hint}")
        return super().resolve_command(context, args)


@click.group(
    NAME,
    cls=Commands,
    # The terminal's door shows escape sequences; without a terminal, click would remove some of them.
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "color": True},
    epilog="\n".join(["\b", "Exit status:", *(f"  {int(status)}  {meaning}" for status, meaning in MEANINGS.items())]),
)
@click.version_option(package_name="bptt-harness")
def command_line() -> None:
    """Verify hand-written backpropagation through time against PyTorch and TensorFlow, element by element."""


def status(args: list[str]) -> int:
    """Run the command line and return its exit status.

    Args:
        args: the arguments.

    Raises:
        BaseException: anything that a command does not expect, with notes on what is kept.
    """
    if sys.flags.optimize > 1:  # explanations of faults and the commands' help are docstrings
        sys.stderr.write("Error: the harness needs its docstrings: call Python with -O in place of -OO\n")
        return Exit.BAD_INPUT
    if asked := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        with redirect_stdout(sys.__stdout__):  # completions are bytes, which no door takes
            return shell_complete(command_line, {}, NAME, COMPLETE, asked)
    kept: list[str] = []
    try:
        # Not click's main: it takes any broken pipe for that of standard output and ends with 1, a mismatch.
        with command_line.make_context(NAME, list(args), obj=kept) as context:
            command_line.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        error.show()
        return Exit.BAD_INPUT
    except BaseException as error:
        for note in kept:
            error.add_note(note)
        raise
    return Exit.AS_EXPECTED
