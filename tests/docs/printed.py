"""The comparison of the output in an example with the output of its run."""

from __future__ import annotations

import re
from difflib import unified_diff

ELLIPSIS = "…"
_LIKE = re.compile(
    r"(?P<lines>^[ \t]*…\n)"
    r"|(?P<any>…)"
    r"|(?P<seconds>\b\d+\.\d+ ?s\b)"
    r"|(?P<power>\b\d+(?:\.\d+)?e[-+]\d+)"
    r"|(?P<spaces> {2,})",
    re.MULTILINE,
)
FACTOR = 4
"""By how much a number with an exponent may differ: rounding, and what is measured by it, is another elsewhere."""


def difference(said: str, printed: str) -> str:
    """Return how the two differ; nothing if they do not.

    ``…`` stands for anything within its line, and alone on a line for any number of lines. Seconds are not compared, of
    a number with an exponent only the order of magnitude, and of several spaces in a row only that they are
    several; those at the ends of lines have no say.
    """
    said, printed = _trimmed(said), _trimmed(printed)
    numbers: list[float] = []
    pattern, end = "", 0
    for token in _LIKE.finditer(said):
        pattern += re.escape(said[end : token.start()])
        end = token.end()
        match token.lastgroup:
            case "lines":
                pattern += r"(?:.*\n)*?"
            case "any":
                pattern += r".*?"
            case "seconds":
                pattern += r"\d+\.\d+ ?s"
            case "power":
                pattern += r"(\d+(?:\.\d+)?e[-+]\d+)"
                numbers.append(float(token.group()))
            case _:
                pattern += r" {2,}"
    matched = re.fullmatch(pattern + re.escape(said[end:]), printed)
    if matched and all(
        expected / FACTOR <= float(actual) <= expected * FACTOR
        for expected, actual in zip(numbers, matched.groups(), strict=True)
    ):
        return ""
    lines = unified_diff(said.splitlines(), printed.splitlines(), "the example", "what was printed", lineterm="", n=99)
    return "\n".join(lines) or "the same text, but not as the example has it"


def _trimmed(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())
