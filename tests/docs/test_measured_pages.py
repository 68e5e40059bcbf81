"""Pages whose tables benchmarks write: the places are there, and what is written there leaves the rest alone."""

import re
from functools import reduce
from importlib import import_module

import pytest

from benchmarks.pages import put, table
from benchmarks.run_cost.parts import PARTS, Clock
from tests.conftest import ROOT

PLACES = {
    "speed-of-a-run": ["shares", "report", "growth", "comparison"],
    "benchmarks": ["grid"],
    "low-precision": ["rules", "right answers"],
}


@pytest.mark.parametrize("page", PLACES)
def test_every_measured_table_has_its_place(page):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert re.findall(r"<!-- measured: (.*) -->", text) == PLACES[page]
    assert re.findall(r"<!-- end of (.*) -->", text) == PLACES[page]


def test_a_table_takes_the_place_of_the_one_before(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured: speed -->\nold\n<!-- end of speed -->\nafter\n")
    for _ in range(2):
        put(page, "speed", table(["a", "b"], [[1, 2.5]]))
        assert page.read_text() == (
            "before\n<!-- measured: speed -->\n| a | b |\n| --- | --- |\n| 1 | 2.5 |\n<!-- end of speed -->\nafter\n"
        )


@pytest.mark.parametrize(
    "content", ["", "<!-- measured: speed -->", "<!-- end of speed --><!-- measured: speed -->"], ids=str
)
def test_a_page_without_the_place_is_left_alone(tmp_path, content):
    page = tmp_path / "page.md"
    page.write_text(content)
    with pytest.raises(ValueError, match="should have one <!-- measured: speed -->"):
        put(page, "speed", "new")
    assert page.read_text() == content


@pytest.mark.parametrize("function", [each for functions in PARTS.values() for each in functions])
def test_every_function_whose_share_is_measured_is_there(function):
    module, _, name = function.partition(":")
    assert callable(reduce(getattr, name.split("."), import_module(module)))


def test_what_a_timed_function_spends_in_another_is_the_others():
    clock = Clock()

    def busy():
        return sum(range(2_000_000))

    inner = clock.timed("inner", busy)
    clock.timed("outer", lambda: inner())()
    assert clock.seconds["inner"] > 10 * clock.seconds["outer"] > 0
