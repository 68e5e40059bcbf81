"""The figures as a picture: for each cell and dtype, the median of each contestant over the points, with quartiles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.report.figures import STYLE
from harness.report.plots import COLOURS, DASHES
from harness.report.table import Row

FILE = "bench.svg"


def draw(path: Path, table: Sequence[Row]) -> None:
    """Draw the rows of the table as SVG; rows without times are left out."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    cells = list(dict.fromkeys(row["cell"] for row in table))
    dtypes = list(dict.fromkeys(row["dtype"] for row in table))
    sizes = list(dict.fromkeys(_size(row) for row in table))
    names = list(dict.fromkeys(row["contestant"] for row in table))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(dtypes), 2.8 * len(cells)), layout="constrained")
        panels = figure.subplots(len(cells), len(dtypes), squeeze=False, sharex=True)
        for r, cell in enumerate(cells):
            for c, dtype in enumerate(dtypes):
                axes = panels[r, c]
                for number, name in enumerate(names):
                    rows = [
                        row
                        for row in table
                        if (row["cell"], row["dtype"], row["contestant"]) == (cell, dtype, name)
                        and row["median_seconds"] is not None
                    ]
                    medians = [1e3 * row["median_seconds"] for row in rows]
                    below = [1e3 * (row["median_seconds"] - row["lower_quartile_seconds"]) for row in rows]
                    above = [1e3 * (row["upper_quartile_seconds"] - row["median_seconds"]) for row in rows]
                    axes.errorbar(
                        [sizes.index(_size(row)) for row in rows],
                        medians,
                        (below, above),
                        label=name,
                        marker="o",
                        markersize=3,
                        color=COLOURS[number % len(COLOURS)],
                        linestyle=DASHES[number % len(DASHES)],
                        linewidth=1.2,
                    )
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
                axes.set_title(f"{cell}, {dtype}", loc="left")
                axes.set_xticks(range(len(sizes)), sizes, rotation=20)
            panels[r, 0].set_ylabel("milliseconds")
        panels[0, 0].legend()
        panels[-1, 0].set_xlabel("B, T, I, H")
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _size(row: Row) -> str:
    return f"{row['batch']}, {row['time']}, {row['input']}, {row['hidden']}"
