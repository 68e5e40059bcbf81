"""Parse YAML text into plain data with the position of every value, independent of the meaning of a case.

Numbers follow the YAML 1.2 core schema, in which ``1e-7`` is a number and ``no`` is a string; PyYAML's own resolver
takes the first for a string and the second for a boolean. Anchors, aliases, tags, merge keys, duplicate keys and
several documents in one file are refused. None is useful in a case file, and each makes a file mean something other
than it seems to. A few lines of aliases could even expand to gigabytes.

libyaml's events are read one by one and the tree is built on an explicit stack, so deep nesting cannot overflow it.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from harness.casefile.mistakes import Mistake, MistakesFound, Path
from harness.casefile.odd import ODD, named
from harness.casefile.reading import MAX_BYTES

MAX_DEPTH = 32
MAX_LETTERS = 10_000
"""Maximum characters of a key or a value: some pages, which every table of a report would contain."""

MAX_VALUES = 100_000
"""Maximum number of keys and values in a file: more than a person writes by hand, and some seconds to read."""

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}\Z")
_PREFIXED = re.compile(r"0o[0-7]{1,400}\Z|0x[0-9a-fA-F]{1,400}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NONFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")


@dataclass(slots=True)
class _Place:
    """The position of a value, with the positions of the values in it."""

    line: int
    column: int
    text: str | None = None
    children: dict[str | int, _Place] | None = None
    keys: dict[str, tuple[int, int]] | None = None


class _Mark(NamedTuple):
    """A position in a text, counted from 0 like PyYAML's marks."""

    line: int
    column: int

    @staticmethod
    def after(text: str) -> _Mark:
        return _Mark(text.count("\n"), len(text) - text.rfind("\n") - 1)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file.

    Attributes:
        file: The file's name, for messages.
        data: Mappings, lists, strings, numbers, booleans and None, as written.
    """

    file: str
    data: Any
    _root: _Place

    def _place(self, path: Path) -> _Place:
        """Return the position of the value at ``path``, or of the nearest existing value around it."""
        place = self._root
        for part in path:
            inner = (place.children or {}).get(part)
            if inner is None:
                break
            place = inner
        return place

    def text(self, path: Path) -> str | None:
        """Return a scalar as it stands in the file (``1e-7``), or None if the value is no scalar."""
        return self._place(path).text

    def mistake(self, path: Path, problem: str, hint: str = "", *, at_key: bool = False) -> Mistake:
        """Return a mistake at the value at ``path`` or at its key; at the nearest value around it if it is missing."""
        place = self._place(path)
        line, column = place.line, place.column
        if at_key:
            line, column = (self._place(path[:-1]).keys or {}).get(str(path[-1]), (line, column))
        return Mistake(self.file, line, column, path, problem, hint)


def parse(text: str | bytes, file: str) -> Document:
    """Parse YAML text.

    Args:
        text: The content of the file.
        file: The file's name, for messages.

    Raises:
        MistakesFound: If the text is not valid; with the one mistake at which reading stopped.
    """
    return _Parser(file).parse(text)


_Level = tuple[Any, _Place, list[Any], Path | None]


class _Parser:
    def __init__(self, file: str) -> None:
        self.file = file
        self.values = 0

    def fail(self, mark: Any, problem: str, hint: str = "", path: Path = ()) -> MistakesFound:
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        return MistakesFound([Mistake(self.file, line, column, path, problem, hint)])

    def parse(self, text: str | bytes) -> Document:
        if len(text) > MAX_BYTES:
            raise self.fail(None, f"the file has {len(text):,} bytes; a case file may have {MAX_BYTES:,}")
        try:
            return self.build(self.decoded(text))
        except yaml.MarkedYAMLError as error:
            problem = " ".join(filter(None, [error.context, error.problem]))
            raise self.fail(error.problem_mark, f"not valid YAML: {problem}") from None
        except yaml.reader.ReaderError as error:
            raise self.fail(None, f"not valid YAML: {error.reason} at position {error.position}") from None

    def decoded(self, content: str | bytes) -> str:
        """Return the text of a file in UTF-8, or in UTF-16 with a byte-order mark; refuse odd characters."""
        if isinstance(content, str):
            text = content
        else:
            encoding = "utf-16" if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"
            try:
                text = content.decode(encoding)
            except UnicodeDecodeError as error:
                before = content[: error.start].decode(encoding, errors="replace")
                problem = f"not {encoding.upper()} text: {error.reason}, {content[error.start : error.start + 1]!r}"
                raise self.fail(_Mark.after(before), problem, "save the file as UTF-8") from None
        if found := ODD.search(text):
            raise self.odd(found[0], _Mark.after(text[: found.start()]))
        return text

    def odd(self, character: str, mark: Any, path: Path = ()) -> MistakesFound:
        return self.fail(mark, f"the character {named(character)} is not allowed in case files", "remove it", path)

    def build(self, text: str) -> Document:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        holder: list[Any] = []  # receives the root value
        root_place = _Place(1, 1, children={})
        # Each level: container, its position, the key that awaits a value (mappings), its path (empty for the root).
        stack: list[_Level] = [(holder, root_place, [], None)]
        documents = 0
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self.fail(event.start_mark, "a second document begins here; a case file holds one case")
            elif isinstance(event, yaml.AliasEvent):
                raise self.fail(event.start_mark, f"aliases (*{event.anchor}) are not allowed in case files")
            elif isinstance(event, yaml.NodeEvent):
                self.values += 1
                if self.values > MAX_VALUES:
                    problem = f"the file has more than {MAX_VALUES:,} keys and values"
                    raise self.fail(
                        event.start_mark, problem, "put large arrays into an .npz file: {file: x.npz, key: W}"
                    )
                self.refuse_decorations(event)
                self.node(event, stack)
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                stack.pop()
        if not holder:
            raise self.fail(None, "the file is empty; a case file is a mapping of keys such as 'sizes' and 'weights'")
        return Document(self.file, holder[0], (root_place.children or {})[0])

    def refuse_decorations(self, event: Any) -> None:
        if event.anchor is not None:
            raise self.fail(event.start_mark, f"anchors (&{event.anchor}) are not allowed in case files")
        if getattr(event, "tag", None) is not None:
            raise self.fail(event.start_mark, f"tags ({event.tag}) are not allowed in case files")

    def refuse_text(self, event: yaml.ScalarEvent, path: Path) -> None:
        """Refuse a key or value that is too long, or whose escapes make a character that no file may have."""
        text: str = event.value
        if len(text) > MAX_LETTERS:
            problem = f"a text of {len(text):,} letters; a key or value may have {MAX_LETTERS:,}"
            raise self.fail(event.start_mark, problem, "cut it, or put it into a file beside this one", path)
        if found := ODD.search(text):
            raise self.odd(found[0], event.start_mark, path)

    def node(self, event: Any, stack: list[_Level]) -> None:
        container, around, pending, above = stack[-1]
        place = _Place(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(container, dict) and not pending:
            self.key(event, container, around, pending)
            return
        path = () if above is None else (*above, pending[0] if isinstance(container, dict) else len(container))
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            self.refuse_text(event, path)
            place.text = event.value
            value = self.scalar(event)
        else:
            if len(stack) > MAX_DEPTH:
                raise self.fail(event.start_mark, f"nested more than {MAX_DEPTH} deep")
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
            place.children = {}
            if isinstance(value, dict):
                place.keys = {}
        if isinstance(container, dict):
            key = pending.pop()
            container[key] = value
        else:
            key = len(container)
            container.append(value)
        assert around.children is not None
        around.children[key] = place
        if not isinstance(event, yaml.ScalarEvent):
            stack.append((value, place, [], path))

    def key(self, event: Any, container: dict[str, Any], around: _Place, pending: list[Any]) -> None:
        mark = event.start_mark
        if not isinstance(event, yaml.ScalarEvent):
            raise self.fail(mark, "a key must be a plain word, not a list or a mapping")
        self.refuse_text(event, ())
        key = event.value
        if key == "<<":
            raise self.fail(event.start_mark, "merge keys (<<) are not allowed in case files")
        if key in container:
            first = (around.children or {})[key].line
            raise self.fail(event.start_mark, f"the key {key!r} is already there, in line {first}")
        assert around.keys is not None
        around.keys[key] = (mark.line + 1, mark.column + 1)
        pending.append(key)

    def scalar(self, event: yaml.ScalarEvent) -> Any:
        text: str = event.value
        if not event.implicit[0]:  # quoted, or a block: always a string
            return text
        if text in _NULL:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _INTEGER.match(text):
            return int(text)
        if _PREFIXED.match(text):
            return int(text, 0)
        if _FLOAT.match(text):
            return float(text)
        if found := _NONFINITE.match(text):
            return float("nan") if found[3] else float(f"{found[1]}inf")
        return text
