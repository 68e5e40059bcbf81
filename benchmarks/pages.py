"""Tables that benchmarks write into pages of the documentation, between two comments that name them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def put(page: Path, name: str, text: str) -> None:
    """Write a text between ``<!-- measured: NAME -->`` and ``<!-- end of NAME -->``, in place of the old text.

    Raises:
        ValueError: If the page does not have these two comments, once each and in this order.
    """
    begin, end = f"<!-- measured: {name} -->", f"<!-- end of {name} -->"
    content = page.read_text(encoding="utf-8")
    if content.count(begin) != 1 or content.count(end) != 1 or content.index(begin) > content.index(end):
        raise ValueError(f"{page} should have one {begin} and after it one {end}")
    before, _, rest = content.partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}", encoding="utf-8")
