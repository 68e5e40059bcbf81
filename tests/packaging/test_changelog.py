"""The changelog is short, is written for users, and ends at the version of pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import date

import pytest
from packaging.version import Version

from tests.conftest import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
MAXIMUM_LINES = 20
MAXIMUM_LENGTH = 160
HEADINGS = ("Before you upgrade", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
SOURCE = re.compile(r"`_\w|\b(harness|reference_impls|tests|benchmarks)/|\bharness\.[a-z]\w*\.\w")
"""A private name, a file or a module of this project: users work with the public names alone."""


def sections(text: str) -> dict[str, list[str]]:
    """Return the lines of each section that are not empty, by its title."""
    _, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    split = [part.splitlines() for part in parts]
    return {title: [line for line in lines if line] for title, *lines in split}


def mistakes(lines: list[str]) -> Iterator[str]:
    """Yield the mistakes in the lines of a section."""
    if len(lines) > MAXIMUM_LINES:
        yield f"{len(lines)} lines, but at most {MAXIMUM_LINES}: join entries, or leave out what no user notices"
    for line in lines:
        if not line.startswith("- ") and line.removeprefix("### ") not in HEADINGS:
            yield f"no entry of one line and no heading {HEADINGS}: {line}"
        if len(line) > MAXIMUM_LENGTH:
            yield f"{len(line)} characters, but at most {MAXIMUM_LENGTH}: {line}"
        if SOURCE.search(line):
            yield f"names a part of the source; say what a user notices: {line}"


def released() -> dict[Version, date]:
    """Return the date of each released version, in the order of the changelog."""
    titles = [re.fullmatch(r"(\S+) - (\S+)", title) for title in [*sections(CHANGELOG)][1:]]
    return {Version(title[1]): date.fromisoformat(title[2]) for title in titles if title}


def test_the_first_section_is_that_of_what_is_not_released():
    assert next(iter(sections(CHANGELOG))) == "Unreleased"


def test_the_newest_version_is_that_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert next(iter(released())) == Version(project["version"])


def test_every_other_section_has_a_version_and_a_date_with_the_newest_first():
    found = [*released().items()]
    assert len(found) == len(sections(CHANGELOG)) - 1
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("title", sections(CHANGELOG))
def test_a_section_is_short_and_written_for_users(title):
    assert not list(mistakes(sections(CHANGELOG)[title]))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["- An entry that goes on", "  in a second line."], "no entry of one line"),
        (["### Internals", "- Folders moved."], "no entry of one line and no heading"),
        ([f"- {'long ' * 40}"], "202 characters, but at most 160"),
        (["- Entry."] * 21, "21 lines, but at most 20"),
        (["- `harness/report/table.py` reads faster."], "names a part of the source"),
        (["- `harness.report.table` reads faster."], "names a part of the source"),
        (["- `_column` reads faster."], "names a part of the source"),
    ],
)
def test_a_section_with_a_mistake_is_refused(lines, said):
    assert said in "\n".join(mistakes(lines))
