"""The fault gallery: the entry of a fault in the pages of ``docs/faults``, for a page that is read offline."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_ENTRY = re.compile(r"^## (?P<name>[\w-]+)\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_IMAGE = re.compile(r"^!\[(?P<alt>.*)\]\((?P<path>pictures/[\w-]+\.svg)\)$", re.MULTILINE)
_FACT = re.compile(r"^- \*\*(?P<title>[^*]+)\*\*(?P<text>.*(?:\n {4}.*)*)", re.MULTILINE)
SHOWN = ("Wrong:", "In place of:", "Not seen with:", "If it is meant:")
"""The facts of an entry that a page shows."""

OF_RECURRENCES = "recurrences.md"
"""The page of the faults of any recurrence, which has no pictures."""


@dataclass(frozen=True)
class Entry:
    """A fault in the gallery.

    Attributes:
        about: The fault in words.
        facts: Titles and texts, such as the tensors that it makes wrong.
        file: The file of its picture; None if there is none.
        alt: The picture in words.
    """

    about: str
    facts: Sequence[tuple[str, str]]
    file: Path | None
    alt: str

    @property
    def picture(self) -> str:
        """The picture as a data URI; empty if there is none."""
        if self.file is None:
            return ""
        return "data:image/svg+xml;base64," + base64.b64encode(self.file.read_bytes()).decode()


@cache
def entries() -> dict[str, Entry]:
    """Return the entries of the gallery by the name of the fault; none if the gallery is not installed."""
    pages = sorted(_folder().glob("*.md"), key=lambda page: (page.name != OF_RECURRENCES, page.name))
    return {name: entry for page in pages for name, entry in _entries(page)}  # the pictures win


def _folder() -> Path:
    """Return the folder of the gallery: in the installed package, or in the clone that the package is run from."""
    package = Path(__file__).parents[1]
    installed = package / "gallery"
    return installed if installed.is_dir() else package.parent / "docs" / "faults"


def _entries(page: Path) -> Iterator[tuple[str, Entry]]:
    for found in _ENTRY.finditer(page.read_text(encoding="utf-8")):
        image = _IMAGE.search(found["text"])
        if image is None and page.name != OF_RECURRENCES:  # a section of the index
            continue
        about = _plain(found["text"][: image.start()] if image else found["text"].partition("\n```")[0])
        facts = [(each["title"], _plain(each["text"])) for each in _FACT.finditer(found["text"])]
        file = page.parent / image["path"] if image else None
        shown = [(title, text) for title, text in facts if title in SHOWN]
        yield (
            found["name"],
            Entry(about, shown, file if file and file.is_file() else None, image["alt"] if image else ""),
        )


def _plain(text: str) -> str:
    """Return Markdown as plain text in one line."""
    items = re.sub(r"^\s+- ", "; ", text, flags=re.MULTILINE)
    return re.sub(r"`", "", " ".join(items.split())).removeprefix("; ").replace(" ; ", "; ")
