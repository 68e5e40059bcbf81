"""Options and arguments that several commands share: implementations by name, and cases."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.cli.exits import Exit

if TYPE_CHECKING:
    from harness.case import Loaded
    from harness.implementations import Implementation
    from harness.report import Report

Decorated = TypeVar("Decorated", bound="Callable[..., Any] | click.Command")

DEFAULT_BASELINE = "numpy-split"


def finite(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """Return a finite number; end the command for infinity and for NaN, which no range excludes."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} should be a finite number", context, option)
    return value


cases_argument = click.argument("cases", nargs=-1, metavar="[CASE]...")


def keeps(sentence: str) -> None:
    """Add a sentence to every error of this command: what is kept, or how to continue."""
    kept = click.get_current_context().find_object(list)
    if kept is not None and sentence not in kept:
        kept.append(sentence)


def need(module: str, extra: str) -> None:
    """End this command if a module that it needs is not installed.

    Args:
        module: the module.
        extra: the extra of this package that installs it.
    """
    if find_spec(module) is None:
        called = click.get_current_context().command_path
        click.echo(f"{called} needs {module}, which is not installed; pip install 'bptt-harness[{extra}]'", err=True)
        raise click.exceptions.Exit(Exit.NOT_INSTALLED)


def report_option(name: str, default: str | None, about: str) -> Callable[[Decorated], Decorated]:
    """Return the option for the folder of a command's report.

    Args:
        name: the option.
        default: the folder; None for no report.
        about: the option's help.
    """

    def noted(context: click.Context, option: click.Parameter, folder: Path | None) -> Path | None:
        from harness.report.environment import FILE as ENVIRONMENT

        del context, option
        if folder is not None and (folder / ENVIRONMENT).is_file():
            keeps(f"the report in {folder} is still the one of the last complete run")
        return folder

    path = click.Path(path_type=Path)
    return click.option(name, type=path, default=default, show_default=True, callback=noted, help=about)


def chosen(names: Collection[str]) -> list[Implementation]:
    """Return implementations by name; end the command if one is unknown or its framework is not installed."""
    from harness.casefile import nearest
    from harness.execution.session import not_here
    from harness.implementations import implementation_named, implementations

    asked = {name: implementation_named(name) for name in names}
    for name in names:
        if asked[name] is None:
            there = implementations()
            own = f"for your own file: harness check {shlex.quote(name)}" if name.endswith(".py") else ""
            hint = own or nearest(name, there) or f"there are {', '.join(there)}"
            raise click.UsageError(f"there is no implementation {name!r}; {hint}")
    found = [each.asked_for() for each in asked.values() if each is not None]
    if missing := not_here(found):
        click.echo("\n".join(missing), err=True)
        raise click.exceptions.Exit(Exit.NOT_INSTALLED)
    return found


def load_cases(names: Sequence[str], weights: Mapping[str, Any] | None = None, *, or_library: bool = False) -> Loaded:
    """Load cases and print every mistake in them.

    Args:
        names: files, folders or cases; all of ``cases/`` if there are none.
        weights: replaces their weights.
        or_library: whether the library is taken where there are no names and no ``cases/``.
    """
    from harness.case import library, load
    from harness.implementations import ImplementationNames

    loaded = load(names, ImplementationNames(), weights)
    if or_library and not (names or loaded.cases or loaded.mistakes):
        loaded = load([str(library())], ImplementationNames(), weights)
    for mistake in loaded.mistakes:
        click.echo(str(mistake), err=True)
    return loaded


ignore_option = click.option(
    "--ignore",
    "ignored",
    metavar="NAME",
    multiple=True,
    help="Name in the file to ignore because it belongs to no recurrent layer; can be repeated.",
)


def checkpoint_of(path: str | None, layer: str | None, ignored: Sequence[str]) -> Mapping[str, Any] | None:
    """Return the ``weights`` of a case that takes them from a file; end the command if the file cannot be read.

    Args:
        path: the file; None if no file was given.
        layer: the recurrent layers to use; None if not given.
        ignored: names in the file to ignore.
    """
    from harness.checkpoint import CheckpointRefused, find

    if path is None:
        if layer is not None or ignored:
            option = "--ignore" if layer is None else "--layer"
            raise click.UsageError(f"{option} applies to the file that --weights names; give both")
        return None
    try:
        find(Path(path), layer=layer, ignored=ignored)
    except CheckpointRefused as refused:
        # A readout that a case takes from the file is not in its layers; each case is checked against the rest.
        if refused.about != "ignore":
            raise click.UsageError(f"{path} {refused}") from None
    found: dict[str, Any] = {"checkpoint": str(Path(path).absolute())}
    if layer is not None:
        found["layer"] = layer
    if ignored:
        found["ignore"] = list(ignored)
    return found


def end_without_cases(loaded: Loaded) -> None:
    """End the command if there is no case to work on."""
    if loaded.cases:
        return
    if loaded.mistakes:
        raise click.exceptions.Exit(Exit.BAD_INPUT)
    click.echo(
        "no case was found; run this in the folder that holds cases/, or name a file or a folder. "
        "The library's cases are found by name from anywhere, such as basic or cells/lstm (`harness list cases`)",
        err=True,
    )
    raise click.exceptions.Exit(Exit.NOTHING_SELECTED)


def report_from(folder: Path) -> Report:
    """Read a report; end the command if it cannot be read."""
    from harness.report import NotAReport, read

    try:
        return read(folder)
    except NotAReport as error:
        raise click.UsageError(str(error)) from None
