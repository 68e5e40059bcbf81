"""The pages on the architecture and on extensions name every folder of the harness, and no path that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.conftest import ROOT

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
TEXT = ARCHITECTURE + (ROOT / "docs" / "extending.md").read_text()
PATH = re.compile(r"`((?:harness|reference_impls|benchmarks)(?:/[\w.]+)+)`")


def missing(text: str) -> Iterator[str]:
    """Yield the paths in a text that do not exist; one with a NAME is that of something new."""
    for path in PATH.findall(text):
        if "NAME" not in path and not (ROOT / path).exists():
            yield path


def test_every_folder_of_the_harness_is_on_the_page():
    folders = {f"harness/{path.parent.name}" for path in (ROOT / "harness").glob("*/__init__.py")}
    assert len(folders) > 15
    assert not folders - set(re.findall(r"`(harness/\w+)", ARCHITECTURE))


def test_every_path_on_the_page_exists():
    assert not list(missing(TEXT))


def test_a_path_of_an_earlier_version_is_found():
    text = "`harness/conditionings.py`, `harness/layout/NAME.py`, `harness/layout`"
    assert list(missing(text)) == ["harness/conditionings.py"]
