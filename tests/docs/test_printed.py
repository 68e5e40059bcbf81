"""Placeholders in an example's output: they match anything, and all else must match, so that a wrong example fails."""

import pytest

from tests.docs.printed import difference

SAID = """\
basic/tanh: 2 of 8 elements; 0.8 s; off by 2.43, allowed 1.53e-05
  case     worst
  …
the report is in …
"""
PRINTED = """\
basic/tanh: 2 of 8 elements; 12.4 s; off by 2.43, allowed 2.1e-05
  case          worst

  one more line
the report is in reports/latest
"""


def test_seconds_roundings_widths_and_ellipses_may_differ():
    assert not difference(SAID, PRINTED)


def test_an_ellipsis_on_a_line_of_its_own_may_stand_for_nothing():
    assert not difference("first\n…\nlast\n", "first\nlast\n")


@pytest.mark.parametrize(
    ("of", "to"),
    [
        ("2 of 8", "3 of 8"),
        ("off by 2.43", "off by 2.44"),
        ("2.1e-05", "2.1e-04"),
        ("2.1e-05", "1.53e+05"),
        ("basic/tanh", "basic/dot"),
        ("the report", "a report"),
        ("  case          worst", "case          worst"),
        ("reports/latest\n", "reports/latest\nand more\n"),
        ("basic/tanh", "a line before\nbasic/tanh"),
        ("12.4 s", "quickly"),
    ],
)
def test_anything_else_may_not(of, to):
    assert of in PRINTED
    assert difference(SAID, PRINTED.replace(of, to))


def test_a_difference_shows_both():
    shown = difference("next: harness run\n", "next: harness show\n")
    assert "-next: harness run" in shown
    assert "+next: harness show" in shown


def test_nothing_printed_is_not_what_was_said():
    assert difference("wrote my_rnn.py\n", "")
