"""Odd characters, which no case file may have: lone surrogates, NUL and other controls.

A lone surrogate (half of a character) cannot be written as UTF-8. A control character changes a terminal, ends a text
early, or makes an SVG or a spreadsheet unreadable. Case files with one are refused; other texts show it as an escape.
"""

from __future__ import annotations

import re

ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
"""The characters that are not printable in YAML."""

ODD_IN_A_NAME = re.compile(f"[\t\n\r\x85\u2028\u2029{ODD.pattern[1:-1]}]")
"""Odd characters, and those that end or indent a line: a name is printed on one line."""


def visible(text: str, odd: re.Pattern[str] = ODD) -> str:
    r"""Return a text with each odd character written out, as ``\x00`` or ``\ud800``; the same text if it has none."""
    return text if text.isprintable() else odd.sub(lambda found: named(found[0]), text)


def named(character: str) -> str:
    r"""Write a character as Python does in a string: ``\n``, ``\x00``, ``\ud800``."""
    return repr(character)[1:-1]
