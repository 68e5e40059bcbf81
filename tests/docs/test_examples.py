"""The examples of every page do what the page says."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.examples import Folder, failures, pages


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_shows_is_what_happens(page: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = list(failures(page, Folder.of(page, tmp_path)))
    assert not wrong, "\n\n".join(["", *wrong])
