"""The countable part of plain English, in docstrings, comments, messages and pages.

It finds openings that put the noun last, words that make software a person, and sentences that are too long to be read
once.
"""

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

LONGEST = 40
"""Maximum number of words of a sentence."""

OPENINGS = ("Of", "What", "Whether", "Who", "How", "Whose", "Where", "When")
"""First words that no docstring has."""

PHRASES = ("told", "tell", "tells", "gone on with", "as of", "nobody")
"""Words that no text has."""

PACKAGES = ("harness", "reference_impls")
"""Folders of modules that no docstring calls "who"."""

_OPENING = re.compile(rf"(?:{'|'.join(OPENINGS)})\b")
_PHRASE = re.compile(rf"\b(?:{'|'.join(PHRASES)})\b".replace(" ", r"\s+"), re.IGNORECASE)
_WHO = re.compile(r"\bwho\b", re.IGNORECASE)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)|\$\$.+?\$\$|\$[^$\n]+\$", re.DOTALL)
_SENTENCE_END = re.compile(r"""(?<=[.!?])(?<!et al\.)(?<!e\.g\.)(?<!i\.e\.)["')\]*_]*\s+|:\s*\n""")
_SECTION = re.compile(r"(?:Args|Attributes|Returns|Raises|Yields|Example|Examples|Note|Usage):$")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+\.)\s+")
_IN_TABLE = re.compile(r"\||[;,]\s")
_FENCE = re.compile(
    r"^(?P<fence>```+|\$\$)[^\n]*\n.*?^(?P=fence)[^\n]*$|^\$\$.*?\$\$$|<!--.*?-->", re.MULTILINE | re.DOTALL
)


class Text(NamedTuple):
    """One text that a person reads.

    Attributes:
        line: Its first line in its file, counted from 1.
        kind: docstring, comment, message or prose.
        text: The text, with the dedent of its kind.
    """

    line: int
    kind: str
    text: str


class Mistake(NamedTuple):
    """One place that breaks a rule.

    Attributes:
        where: The file and the line, "FILE:LINE".
        rule: The rule and the words that break it.
    """

    where: str
    rule: str

    def __str__(self) -> str:
        return f"{self.where}: {self.rule}"


def mistakes(name: str, texts: Iterable[Text]) -> list[Mistake]:
    """Return each place in the texts of a file that breaks a rule.

    Args:
        name: The file's path below the repository, with slashes.
        texts: The texts of the file, from `of_python` or `of_markdown`.
    """
    found = []
    package = name.split("/")[0] in PACKAGES
    for text in texts:
        where = f"{name}:{text.line}"
        prose = _without_code(text.text)
        if text.kind == "docstring" and (opening := _OPENING.match(prose)):
            found.append(Mistake(where, f'a docstring opens with "{opening.group()}"; put the noun or the verb first'))
        for phrase in _PHRASE.finditer(prose):
            words = " ".join(phrase.group().split())
            found.append(Mistake(where, f'"{words}" in a {text.kind}; say it with report, show, return or raise'))
        if text.kind == "docstring" and package and _WHO.search(prose):
            found.append(Mistake(where, '"who" in a docstring; software is a thing'))
        for sentence in sentences(text):
            if (count := len(_words(sentence))) > LONGEST:
                begin = " ".join(sentence.split()[:8])
                found.append(Mistake(where, f'a sentence of {count} words, more than {LONGEST}; split it: "{begin} …"'))
    return found


def of_file(path: Path, docstrings_only: bool) -> list[Text]:
    """Return the texts of a Python or Markdown file."""
    if path.suffix == ".md":
        return list(of_markdown(path.read_text()))
    return [text for text in of_python(path.read_text()) if text.kind == "docstring" or not docstrings_only]


def of_python(source: str) -> Iterator[Text]:
    """Yield the docstrings, messages and comments of a module.

    A docstring is any string that stands alone, so those of constants count. A message is any other string of several
    words.
    """
    tree = ast.parse(source)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            if id(node) in alone:
                yield Text(node.lineno, "docstring", inspect.cleandoc(node.value))
            elif " " in node.value:
                yield Text(node.lineno, "message", node.value)
        elif isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "x" for part in node.values]
            if " " in (text := "".join(str(part) for part in parts)):
                yield Text(node.lineno, "message", text)
    yield from _comments(source)


def of_markdown(page: str) -> Iterator[Text]:
    """Yield the texts of a page, without its code blocks, equations and comments.

    A paragraph is a text, and so is an item of a list, also of one between commas in a cell of a table.
    """
    page = _FENCE.sub(lambda block: "\n" * block.group().count("\n"), page)
    for line, entry in _entries(page.splitlines()):
        for cell in _IN_TABLE.split(entry) if entry.lstrip().startswith("|") else [entry]:
            yield Text(line + 1, "prose", cell)


def sentences(text: Text) -> Iterator[str]:
    """Yield the sentences of a text; an entry of a list, of a table or of a section counts for itself."""
    entries = (
        text.text.splitlines() if text.kind == "message" else [entry for _, entry in _entries(text.text.splitlines())]
    )
    for entry in entries:
        yield from (sentence for sentence in _SENTENCE_END.split(_without_code(entry)) if sentence.strip())


def _entries(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the paragraphs and entries among lines, each with its line, counted from 0."""
    begin, entry = 0, ""
    section = False
    for number, line in enumerate(lines):
        base = len(line) - len(line.lstrip())
        if line.strip() and base == 0:
            section = bool(_SECTION.match(line))
        starts = (
            not line.strip() or _ITEM.match(line) or line.lstrip().startswith(("|", "#", ">")) or _SECTION.match(line)
        )
        if starts or (base == 4 and section) or (base >= 4 and not section and not _is_item(entry)):
            if entry:
                yield begin, entry
            begin, entry = number, ""
        if line.strip():
            begin, entry = begin if entry else number, entry + line + "\n"
    if entry:
        yield begin, entry


def _is_item(entry: str) -> bool:
    return bool(_ITEM.match(entry))


def _comments(source: str) -> Iterator[Text]:
    """Yield the comments of a module; those on successive lines of their own are one text."""
    begin, end, block = 0, 0, ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, own = token.start[0], not token.line[: token.start[1]].strip()
        if not (own and line == end + 1) and block:
            yield Text(begin, "comment", block)
            block = ""
        begin = line if not block else begin
        block += token.string.lstrip("#").strip() + "\n"
        end = line if own else -1
    if block:
        yield Text(begin, "comment", block)


def _without_code(text: str) -> str:
    return _CODE.sub("code", text)


def _words(sentence: str) -> list[str]:
    return [word for word in sentence.split() if re.search(r"\w", word)]
