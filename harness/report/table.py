"""CSV files whose floats read back to the same bits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows to a CSV file.

    A value that is missing is an empty field; one that is NaN is ``nan``. Floats are written with the fewest digits
    that read back to the same bits.

    Args:
        path: the file.
        columns: the columns in order; each row has each of them.
        rows: the rows.
    """
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    pd.DataFrame(cells, columns=list(columns), dtype=object).to_csv(path, index=False, lineterminator="\n")


def _cell(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return value
