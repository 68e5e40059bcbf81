"""``harness new``."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

CASES = Path("cases")
SCHEMA = Path("case.schema.json")


@click.command("new")
@click.argument("name", required=False)
@click.option("--implementation", "file", metavar="FILE.py", help="Write an implementation to begin with instead.")
def command(name: str | None, file: str | None) -> None:
    """Write a new case file, or an implementation of your own to begin with. Nothing is ever overwritten.

    NAME is the case's name: mine or lstm/mine becomes cases/mine.yaml or cases/lstm/mine.yaml.
    """
    from harness import templates

    if (name is None) == (file is None):
        raise click.UsageError("name a case, as in `harness new mine`, or a file: `harness new --implementation my.py`")
    if file is not None:
        path = _python_file(file)
        _create(path, templates.implementation())
        click.echo(f"wrote {path}: one tanh layer by hand, to change as you like\nnext: harness check {path}")
    else:
        path = _case_file(str(name))
        _create(path, _schema_line(path) + templates.case())
        click.echo(f"wrote {path}\nnext: harness validate {path}, then harness run {path}")


def _case_file(name: str) -> Path:
    bare = name.removesuffix(".yaml").removeprefix(f"{CASES}/")
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", bare):
        raise click.UsageError(
            f"{name!r} should be a path below {CASES}/ of letters, digits, - and _, such as mine or lstm/mine"
        )
    return CASES / f"{bare}.yaml"


def _python_file(name: str) -> Path:
    path = Path(name)
    if path.suffix not in ("", ".py"):
        raise click.UsageError(f"{name} should be a Python file, such as {path.with_suffix('.py')}")
    return path.with_suffix(".py")


def _schema_line(path: Path) -> str:
    """Return the line by which editors find the schema, if it is here."""
    if not SCHEMA.is_file():
        return ""
    return f"# yaml-language-server: $schema={Path(os.path.relpath(SCHEMA, path.parent)).as_posix()}\n"


def _create(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.UsageError(f"{path} is there already, and is left alone; choose another name") from None
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}") from None
