"""``harness new``."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import click

from harness.terminal import write_json

CELLS = ("rnn", "lstm", "gru")
CASES = Path("cases")
SCHEMA = Path("case.schema.json")


@click.command("new")
@click.argument("name", required=False)
@click.option(
    "--cell",
    metavar="CELL",
    help="Cell of the new case or implementation: rnn, the default, lstm, gru; or of a case a recurrence.",
)
@click.option("--like", metavar="CASE", help="Start from the file of this case instead.")
@click.option("--implementation", "file", metavar="FILE.py", help="Write an implementation to begin with instead.")
@click.option(
    "--recurrence", metavar="FILE.py", help="Write a recurrence and an implementation of it to begin with instead."
)
@click.option("--json", "as_json", is_flag=True, help="Print the file and the next command as JSON.")
def command(
    name: str | None, cell: str | None, like: str | None, file: str | None, recurrence: str | None, as_json: bool
) -> None:
    """Write a new case file, or code of your own to begin with. Nothing is ever overwritten.

    NAME is the name of the case: mine or lstm/mine becomes cases/mine.yaml or cases/lstm/mine.yaml.
    """
    from harness.candidate import templates
    from harness.casefile.typed import called

    if like is not None and cell is not None:
        raise click.UsageError("--like takes the cell of its case; leave out --cell")
    if file is not None and like:
        raise click.UsageError("--like is for a new case, not for an implementation; --cell is for both")
    if sum(each is not None for each in (name, file, recurrence)) != 1:
        raise click.UsageError(
            "name a case, as in `harness new mine`, or a file: `harness new --implementation my.py` or "
            "`harness new --recurrence my.py`"
        )
    if recurrence is not None and (cell is not None or like is not None):
        given = "--like" if like is not None else "--cell"
        raise click.UsageError(f"a recurrence is a cell of its own; leave {given} out")
    code = file if recurrence is None else recurrence
    path = _case_file(str(name)) if code is None else _python_file(code)
    typed = shlex.quote(str(path))
    if recurrence is not None:
        _create(path, templates.recurrence())
        wrote = f"{path}: a leaky unit and its gradients by hand, to change as you like"
        following = called("harness check", typed)
    elif file is not None:
        if cell is not None and cell not in CELLS:
            raise click.UsageError(
                f"an implementation begins as rnn, lstm or gru, not {cell}; --recurrence takes any step"
            )
        _create(path, templates.implementation(cell or "rnn"))
        layer = "tanh" if cell in (None, "rnn") else cell
        wrote, following = f"{path}: one {layer} layer by hand, for you to change", called("harness check", typed)
    else:
        text = templates.case(cell or "rnn", _sizes_of(cell)) if like is None else _text_of(like, path)
        _create(path, _schema_line(path) + text)
        first = "state its purpose in `about`, then " if like is not None else ""
        wrote, following = f"{path}", f"{first}harness validate {typed}, then harness run {typed}"
    if as_json:
        write_json({"file": str(path), "next": following})
    else:
        click.echo(f"wrote {wrote}\nnext: {following}")


def _sizes_of(cell: str | None) -> dict[str, int] | None:
    """Return sizes for a recurrence; None for rnn, lstm and gru."""
    if cell is None or cell in CELLS:
        return None
    from harness.casefile import nearest
    from harness.recurrences import recurrences

    if cell not in recurrences():
        hint = nearest(cell, [*CELLS, *recurrences()]) or "`harness list recurrences` shows the recurrences"
        raise click.UsageError(f"there is no cell {cell!r}; {hint}")
    return {"batch": 3, "time": 7, **recurrences()[cell].sizes()}


def _case_file(name: str) -> Path:
    bare = name.removesuffix(".yaml").removeprefix(f"{CASES}/")
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", bare):
        raise click.UsageError(
            f"{name!r} should be a path below {CASES}/ of letters, digits, - and _, such as mine or lstm/mine"
        )
    return CASES / f"{bare}.yaml"


def _text_of(like: str, path: Path) -> str:
    """Return the text of a case's file without its schema line; files that it reads must be found from both places."""
    from harness.case import load

    loaded = load([like])
    if loaded.mistakes:
        raise click.UsageError("\n".join(map(str, loaded.mistakes)))
    source = Path(loaded.cases[0].file)
    text = source.read_text(encoding="utf-8")
    if re.search(r"\bfile:", text) and source.parent.resolve() != path.parent.resolve():
        raise click.UsageError(f"{source} reads arrays from files beside it; name the new case {source.parent}/...")
    return re.sub(r"\A# yaml-language-server:.*\n", "", text)


def _python_file(name: str) -> Path:
    path = Path(name)
    if path.suffix not in ("", ".py"):
        raise click.UsageError(f"{name} should be a Python file, such as {path.with_suffix('.py')}")
    return path.with_suffix(".py")


def _schema_line(path: Path) -> str:
    """Return the line by which editors find the schema, if the schema is here."""
    if not SCHEMA.is_file():
        return ""
    return f"# yaml-language-server: $schema={Path(os.path.relpath(SCHEMA, path.parent)).as_posix()}\n"


def _create(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.UsageError(f"{path} already exists and was not changed; choose another name") from None
