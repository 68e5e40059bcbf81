"""Numbers in words."""

from __future__ import annotations


def counted(number: int, noun: str, ending: str = "s") -> str:
    """Return a number with its noun: 1 case, 2,000 cases."""
    return f"{number:,} {plural(number, noun, ending)}"


def plural(number: int, noun: str, ending: str = "s") -> str:
    """Return the form of a noun that belongs to a number."""
    return noun if number == 1 else f"{noun}{ending}"
