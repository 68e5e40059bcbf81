"""CSV files that read back exactly: floats to the same bits, cells to the same values.

A text that a spreadsheet would take for a formula gets an apostrophe in front, which marks a text in spreadsheets. A
text that begins with an apostrophe gets one, too. ``read`` removes it.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
"""A value for each column of a table."""

Columns = Mapping[str, str]
"""The columns of a table in order, each with the kind of its cells, a key of ``CELLS``."""


def _flag(text: str) -> bool:
    return {"True": True, "False": False}[text]


def _index(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in json.loads(text))


CELLS: dict[str, tuple[Callable[[str], Any], str]] = {
    "text": (str, "text"),
    "count": (int, "a whole number"),
    "number": (float, "a number"),
    "flag": (_flag, "True or False"),
    "index": (_index, "a list of whole numbers"),
}
"""The kinds of cells: the function that reads one, and the name of the kind. Any but a text may be missing: None."""


MARK = "'"
"""The mark before a text that begins like a formula, or with this mark."""

_BEGINS_A_FORMULA = re.compile(rf"[{MARK}\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""The last four are the wide forms of the others; some spreadsheets treat them alike."""

_NUMBER = re.compile(r"[-+]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|inf|nan)")

ODD = "backslashreplace"
"""Writes a character that no encoding has, a lone surrogate, as an escape, so that no report is lost to one."""


class Unreadable(ValueError):
    """A table that cannot be read; its text says which, where and why."""


def write(path: Path, columns: Columns, rows: Iterable[Row]) -> int:
    """Write rows to a CSV file; return how many there are.

    A value that is missing is an empty field; one that is NaN is ``nan``. Floats are written with the fewest digits
    that read back to the same bits.

    Args:
        path: the file.
        columns: the columns; each row has each of them.
        rows: the rows.
    """
    count = 0
    with path.open("w", encoding="utf-8", errors=ODD, newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        quoting = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(columns)
        for count, row in enumerate(rows, 1):  # noqa: B007 - how many there were
            cells = [_cell(row[column]) for column in columns]
            # The csv module of Python 3.11 does not quote what has a carriage return, where readers end the row.
            has_return = any(isinstance(cell, str) and "\r" in cell for cell in cells)
            (quoting if has_return else writer).writerow(cells)
    return count


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return _marked(value)
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return value


def _marked(text: str) -> str:
    return f"{MARK}{text}" if _BEGINS_A_FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def read(path: Path, columns: Columns) -> list[Row]:
    """Read what ``write`` wrote; columns that are not asked for are left out.

    Raises:
        Unreadable: if it is no such table: with the line and the column.
    """
    import pandas as pd  # takes half a second, which writing a table does not need

    try:
        found = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False)
    except (ValueError, UnicodeDecodeError) as error:  # pandas' own errors are ValueErrors
        raise Unreadable(f"{path.name} is no CSV file: {error}") from None
    if missing := [column for column in columns if column not in found]:
        raise Unreadable(f"{path.name} has no column {missing[0]!r}; it has {', '.join(map(str, found.columns))}")
    read_columns = [_column(path, name, found[name].tolist(), kind) for name, kind in columns.items()]
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*read_columns, strict=True)]


def _column(path: Path, name: str, texts: list[str], kind: str) -> list[Any]:
    convert, called = CELLS[kind]
    if kind == "text":
        return [text.removeprefix(MARK) for text in texts]
    cells = []
    for row, text in enumerate(texts):
        try:
            cells.append(convert(text) if text else None)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Unreadable(f"{path.name}, row {row + 1}, column {name}: {text!r}, but should be {called}") from None
    return cells
