"""The page on the Python interface has every public name, and each of these has a docstring to be made from."""

from __future__ import annotations

import re

import pytest

import harness
from tests.conftest import ROOT

DIRECTIVE = re.compile(r"^\.\. auto(?:function|class|exception|decorator):: harness\.(\w+)", re.MULTILINE)


def test_the_page_has_each_public_name_once():
    assert sorted(DIRECTIVE.findall((ROOT / "docs" / "api.md").read_text())) == sorted(harness.__all__)


@pytest.mark.parametrize("name", harness.__all__)
def test_a_public_name_has_a_docstring_of_its_own(name):
    # dataclass makes one of the signature where there is none.
    assert not (getattr(harness, name).__doc__ or f"{name}(").startswith(f"{name}(")
