"""Rules for every page: its examples are of a kind that is checked, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

from docs.command_reference import PAGE, text
from tests.conftest import ROOT
from tests.docs.examples import CHECKED, SHOWN, pages

FENCE = re.compile(r"^(?P<fence>```+)(?P<language>[^\n`]*)\n(?P<body>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?:|#)(?P<target>[^)#\s]+)")
EVERY_PAGE = pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())


@EVERY_PAGE
def test_every_block_is_of_a_kind_that_is_checked_or_has_no_commands(page: Path):
    for block in FENCE.finditer(page.read_text()):
        language = block["language"].strip()
        if language.startswith("{") or language in CHECKED:
            continue
        assert language in SHOWN, f"{page.name}: ```{language} is neither checked {CHECKED} nor only shown {SHOWN}"
        commands = re.findall(r"^\$ .*|^harness .*\n(?!.*Usage)", block["body"], re.MULTILINE)
        assert not commands or page == PAGE, f"{page.name}: typed, but not checked: {commands}"


@EVERY_PAGE
def test_every_link_leads_to_something(page: Path):
    # Of pages in docs/, the site's anchors are checked where it is made.
    for link in LINK.finditer(re.sub(FENCE, "", page.read_text())):
        assert (page.parent / link["target"]).exists(), f"{page.name}: {link.group()})"


def test_the_reference_of_the_commands_is_that_of_the_commands():
    assert PAGE.read_text() == text(), "make commands writes it anew"
