"""The command line. Each command is a module here, named as the command; nothing heavy is imported before it runs."""

from __future__ import annotations

import time
from importlib import import_module
from pkgutil import iter_modules
from typing import NoReturn

import click

from harness.cli.exits import Exit

BEGAN = time.perf_counter()
"""When the command line began; what it has waited since is what its user has."""


class Commands(click.Group):
    """The commands: every module of this package that has a ``command``."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of all commands."""
        del context
        names = [module.name.removesuffix("_command") for module in iter_modules(__path__)]
        return [name for name in names if name not in ("exits", "options", "overview", "screen")]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import and return a command; None if there is none of this name."""
        if name not in self.list_commands(context):
            return None
        modules = {module.name for module in iter_modules(__path__)}
        module = import_module(f"{__name__}.{name if name in modules else f'{name}_command'}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the user typed, or say which is nearest."""
        if args and self.get_command(context, args[0]) is None and not args[0].startswith("-"):
            from harness.casefile import nearest

            names = self.list_commands(context)
            hint = nearest(args[0], names) or f"there are {', '.join(names)}"
            context.fail(f"there is no command {args[0]!r}; {hint}")
        return super().resolve_command(context, args)


EXIT_STATUSES = """\b
Exit status:
  0  every comparison as expected
  1  a mismatch
  2  bad input or usage
  3  an implementation failed
  4  an implementation asked for by name is not installed
  5  nothing was selected
  130  interrupted
"""


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_STATUSES,
)
@click.version_option(package_name="bptt-harness")
def harness() -> None:
    """Verify hand-written backpropagation through time against PyTorch and TensorFlow, element by element."""


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status."""
    try:
        # Without standalone mode, click returns the status of an Exit instead of raising it.
        status = harness.main(args, prog_name="harness", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(int(Exit.BAD_INPUT)) from None
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        raise SystemExit(int(Exit.INTERRUPTED)) from None
    raise SystemExit(status if isinstance(status, int) else int(Exit.AS_EXPECTED))
