"""The examples of a page, as Sybil finds them, and what each of them must do.

| block | is |
| --- | --- |
| ``console`` | what follows ``$ `` is typed, in a folder with a copy of ``cases/``; what it prints stands below it; |
| | where nothing stands below it, it must succeed |
| ``python`` | run in the same folder, in one namespace for the page |
| ``yaml`` | keys of a case file: valid beside those of a small case, or alone if its cell is a recurrence |
| ``sh`` | not run, because it installs or takes long; but commands, their options and targets of make must exist |

``<!-- file: my_rnn.py -->`` above a block of any language writes it to that file instead; ``<!-- quoted: FILE -->``
says that it stands in this file of the repository, at any indentation; ``<!-- skip: next -->`` leaves it out.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from textwrap import dedent

import click
import yaml
from sybil import Document, Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from harness.case import CaseFile, read
from harness.case.fields import CELLS
from harness.cli import main
from harness.cli.group import command_line
from tests.conftest import ROOT
from tests.docs.printed import difference

BESIDE = """\
about: What an example's keys stand beside.
sizes: {batch: 2, time: 10, input: 3, hidden: 5}
weights: {uniform: [-0.9, 0.9], seed: 1}
inputs: {normal: 1.0, seed: 2}
initial_state: {normal: 0.5, seed: 3}
targets: {normal: 1.0, seed: 4}
loss: {kind: squared_error}
"""
WITHOUT_CASES = ("empty-folder.md", "own-project.md")
"""Pages whose examples run in an empty folder, where the cases are those of the library."""

CHECKED = ("console", "python", "yaml", "sh")
SHOWN = ("", "text", "json", "toml", "ini", "markdown")
"""Languages of blocks that are shown, and may be written to a file."""
_DIRECTIVE = re.compile(r"<!--+ *(?P<name>file|quoted): *(?P<file>\S+) *-+->\s*\Z")
_COMMAND = re.compile(r"^\$ (.*(?:\\\n.*)*)\n?", re.MULTILINE)


def pages() -> list[Path]:
    """Every Markdown page of the documentation, and the README."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(each for each in pages if "_build" not in each.parts)]


@dataclass
class Folder:
    """The folder in which the examples of one page run."""

    path: Path
    status: int = 0

    @classmethod
    def of(cls, page: Path, path: Path) -> Folder:
        """Return the folder for a page: with the cases, unless the page is about an empty one."""
        return cls(path) if page.name in WITHOUT_CASES else cls.beside_cases(path)

    @classmethod
    def beside_cases(cls, path: Path) -> Folder:
        """Copy the cases, so that an example that writes one leaves them as they are."""
        shutil.copytree(ROOT / "cases", path / "cases")
        return cls(path)

    def console(self, example: Example) -> str | None:
        """Type each command of the block, and compare what it prints."""
        commands = list(_COMMAND.finditer(example.parsed))
        if not commands or commands[0].start() != 0:
            return "a console block begins with `$ ` and a command"
        ends = [each.start() for each in commands[1:]] + [len(example.parsed)]
        for command, end in zip(commands, ends, strict=True):
            said = example.parsed[command.end() : end]
            printed = self._typed(command[1])
            if said.strip():
                if found := difference(said, printed):
                    return f"$ {command[1]}\n{found}"
            elif self.status:
                return f"$ {command[1]}\nended with status {self.status}:\n{printed}"
        return None

    def _typed(self, command: str) -> str:
        """Type a command, and return what it prints on standard output and standard error."""
        words = list(shlex.shlex(command, posix=True, punctuation_chars=True))
        if words[:1] == ["harness"] and not any(set(each) <= set("();<>|&") for each in words):
            return self._called(shlex.split(command)[1:])
        scripts = Path(sys.executable).parent
        environment = {
            **os.environ,
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }
        # $? is that of the command before, as in a terminal.
        done = subprocess.run(
            ["bash", "-c", f"(exit {self.status})\n{command}"],
            cwd=self.path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        self.status = done.returncode
        return done.stdout

    def _called(self, arguments: list[str]) -> str:
        """Call the command line in this process, whose imports are done: it is the same from ``main`` on."""
        printed = StringIO()
        with chdir(self.path), redirect_stdout(printed), redirect_stderr(printed):
            try:
                main(arguments)
            except SystemExit as end:
                self.status = int(end.code or 0)
        return printed.getvalue()

    def yaml(self, example: Example) -> str | None:
        """Validate the keys of a case, beside those of a small one."""
        keys = yaml.safe_load(example.parsed)
        case = self.path / "beside" / "example.yaml"
        case.parent.mkdir(exist_ok=True)
        of_network = keys.get("cell", CELLS[0]) in CELLS
        beside = [line for line in BESIDE.splitlines() if of_network and line.partition(":")[0] not in keys]
        case.write_text("\n".join([*beside, example.parsed]))
        mistakes = read(CaseFile(case, case.parent)).mistakes
        return "\n".join(map(str, mistakes)) or None

    def blocks(self) -> list[CodeBlockParser | SkipParser]:
        """The parsers for Sybil."""
        run = {"console": self.console, "python": PythonEvaluator(), "yaml": self.yaml, "sh": not_run}

        def unless_for_a_file(language: str) -> CodeBlockParser:
            def evaluate(example: Example) -> str | None:
                before = example.document.text[: example.start]
                if directive := _DIRECTIVE.search(before):
                    if directive["name"] == "quoted":
                        return quoted(example.parsed, directive["file"])
                    target = self.path / directive["file"]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_text(example.parsed)
                    return None
                return run[language](example) if language in run else None

            return CodeBlockParser(language, evaluate)

        return [SkipParser(), *map(unless_for_a_file, sorted({*CHECKED, *SHOWN} - {""}))]

    def document(self, page: Path) -> Document:
        """Parse a page."""
        document = Sybil(self.blocks(), path=str(page.parent)).parse(page)
        document.namespace["__name__"] = "__main__"
        return document


def failures(page: Path, folder: Folder) -> Iterator[str]:
    """Yield what is wrong with the examples of a page, each with its place; run them in ``folder``."""
    for example in folder.document(page):
        try:
            example.evaluate()
        except Exception as error:  # an example may raise whatever it likes; each is told
            text = getattr(error, "result", None) or f"{type(error).__name__}: {error}"
            yield f"{page}:{example.line}\n{text}"


def quoted(block: str, file: str) -> str | None:
    """Say so if a block does not stand in a file of the repository."""
    wanted = dedent(block).strip("\n")
    lines, length = (ROOT / file).read_text().splitlines(), len(wanted.splitlines())
    if any(dedent("\n".join(lines[at : at + length])) == wanted for at in range(len(lines))):
        return None
    return f"does not stand in {file} as it is quoted"


def not_run(example: Example) -> str | None:
    """Say which commands, options or targets of a block do not exist."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in example.parsed.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"] and not targets.issuperset(each for each in words[1:] if "=" not in each):
            return f"{line}\nthe Makefile has no such target"
        if words[:1] == ["harness"]:
            try:
                _parsed(command_line, words[1:])
            except click.ClickException as error:
                return f"{line}\n{error.format_message()}"
    return None


def _parsed(command: click.Command, words: list[str]) -> None:
    """Parse a command line as click does, without running it."""
    # A group's own parsing hides the rest in an attribute whose name depends on click's version.
    context = click.Context(command, info_name=command.name, **command_line.context_settings)
    rest = click.Command.parse_args(command, context, list(words))
    if isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None
        _parsed(found, rest)
