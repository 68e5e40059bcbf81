"""The picture of a fault: the error of each element of each tensor, and the gradient along time.

A tensor is a grid of its elements. Inputs and outputs, (B, T, I) and (B, T, O), show the worst over the last axis, with
sequences down and steps across. White is right; darker is a larger error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from benchmarks.gallery.shown import Shown, error
from harness.report.figures import STYLE, image
from harness.tensors import GATE_NAMES

SCALE = ("#fdea9f", "#e9d57b", "#cfbe70", "#b5a876", "#9b937a", "#807f79", "#666b72", "#4b586d", "#2b466a", "#00204d")
"""Cividis, as on the report's page: light is small."""

LEAST = 1e-3
"""The largest error with the lightest colour, relative to the tensor's largest element."""

NOT_FINITE = "#d55e00"
RIGHT, WRONG = "#000000", "#d55e00"

CELL = 0.115
"""Width of an element, in inches."""
GAP = 2.0
"""Gap between tensors, in elements; it contains a name."""
PIXELS = 8
"""Width and height of an element, in pixels."""
PLOT = 3.0
"""Width of the plot along time, in inches."""
MARGIN = 0.06


@dataclass(frozen=True, eq=False)
class Grid:
    """A tensor's place in the picture.

    Attributes:
        name: The title above it.
        errors: Relative errors, (rows, columns).
        row, column: The position of its first element, in elements.
        every: Columns between two lines; 0 for none.
    """

    name: str
    errors: ndarray
    row: float
    column: float
    every: int = 0


def picture(shown: Shown) -> str:
    """Return the picture of a fault, as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    grids = list(_placed(shown))
    rows = max(each.row + each.errors.shape[0] for each in grids)
    columns = max(each.column + each.errors.shape[1] for each in grids)
    along = "inputs" in shown.off
    height, left = max(1.9 if along else 0.0, rows * CELL + 2 * MARGIN), columns * CELL + 2 * MARGIN
    width = left + (PLOT if along else 0.0)
    with mpl.rc_context({**STYLE, "font.size": 8.0}):
        figure = Figure(figsize=(width, height), facecolor="white")
        axes = figure.add_axes((0, 0, left / width, 1))
        for each in grids:
            _draw(axes, each)
        axes.set_axis_off()
        axes.set_xlim(-MARGIN / CELL, left / CELL - MARGIN / CELL)
        axes.set_ylim(height / CELL - MARGIN / CELL, -MARGIN / CELL)
        if along:
            place = (left + 0.6, 0.38, PLOT - 0.7, height - 0.38 - 0.22)
            _along_time(figure.add_axes(tuple(np.divide(place, (width, height, width, height)))), shown)
        return image(figure) + "\n"


def _placed(shown: Shown) -> Iterator[Grid]:
    """Yield the tensors in their places: a column for each layer and direction, then the readout, inputs, outputs."""
    gates = GATE_NAMES[shown.case.cell]
    H = shown.case.sizes.hidden
    named = dict.fromkeys(name.rpartition(".")[0] for name in shown.right if "." in name)
    blocks = sorted(named, key=lambda block: block == "readout")
    across = 0.0
    for block in blocks:
        down, widest = GAP - 0.6, 0.0
        for name in [each for each in shown.right if each.rpartition(".")[0] == block]:
            errors = np.atleast_2d(error(shown.wrong[name], shown.right[name]))
            every = H if len(gates) > 1 and errors.shape[1] == H * len(gates) else 0
            label = (name if len(blocks) > 2 else name.removeprefix("layer0.")).removeprefix("readout.")
            label += f": {' '.join(gates)}" if every else ""
            yield Grid(label, errors, down, across, every)
            down += len(errors) + GAP
            widest = max(widest, errors.shape[1], 0.62 * len(label))
        across += widest + GAP / 2
    down = GAP - 0.6
    for name in ("inputs", "outputs"):
        errors = error(shown.wrong[name], shown.right[name]).max(axis=2)  # (B, T)
        yield Grid(f"{name}, by step", errors, down, across)
        down += len(errors) + GAP
    loss = error(shown.wrong["loss"], shown.right["loss"]).reshape(1, 1)
    yield Grid("loss", loss, down, across)


def _draw(axes: Any, grid: Grid) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    rows, columns = grid.errors.shape
    if grid.errors.any():
        colours = np.array([to_rgb(shade(each)) for each in grid.errors.flat]).reshape(rows, columns, 3)
        pixels = colours.repeat(PIXELS, 0).repeat(PIXELS, 1)  # (rows·PIXELS, columns·PIXELS, 3)
        pixels[::PIXELS] = pixels[:, ::PIXELS] = 1.0  # a white line between elements, so that they can be counted
        place = (grid.column, grid.column + columns, grid.row + rows, grid.row)
        axes.imshow(pixels, extent=place, interpolation="none", aspect="auto", zorder=0)
    axes.add_patch(Rectangle((grid.column, grid.row), columns, rows, fill=False, edgecolor="#8c8c8c", linewidth=0.5))
    for j in range(grid.every or columns, columns, grid.every or columns):
        axes.plot([grid.column + j] * 2, [grid.row, grid.row + rows], color="#8c8c8c", linewidth=0.5)
    axes.text(grid.column, grid.row - 0.3, grid.name, fontsize=8)


def shade(relative: float) -> str:
    """Return the colour of an error, relative to the tensor's largest element."""
    if relative == 0:
        return "#ffffff"
    if not np.isfinite(relative):
        return NOT_FINITE
    position = 1 - np.log10(max(relative, LEAST)) / np.log10(LEAST)
    return SCALE[int(np.clip(np.floor(position * len(SCALE)), 0, len(SCALE) - 1))]


def _along_time(axes: Any, shown: Shown) -> None:
    """Plot the norm of the gradient of the inputs at each step, the right one and the wrong one."""
    right, wrong = (_norms(each["inputs"]) for each in (shown.right, shown.wrong))
    steps = np.arange(len(right))
    axes.plot(steps, right, color=RIGHT, linewidth=1.6, label="right")
    axes.plot(steps, wrong, color=WRONG, linewidth=1.2, linestyle="--", label="wrong")
    largest = np.nanmax([right, np.where(np.isfinite(wrong), wrong, 0)])
    axes.set_ylim(0, 1.08 * largest)
    axes.locator_params(axis="y", nbins=4)
    axes.set_xticks(steps[:: 1 if len(steps) < 6 else 2])
    axes.set_xlabel("step", labelpad=1)
    axes.set_title("norm of the gradient of the inputs", fontsize=8, pad=3)
    axes.legend(loc="best", borderaxespad=0.2, handlelength=2.2)


def _norms(gradient: ndarray) -> ndarray:
    """Return the norm of a gradient (B, T, I) at each step, (T,); NaN where it is not finite."""
    with np.errstate(all="ignore"):
        norms = np.sqrt(np.square(gradient).sum(axis=(0, 2)))  # (T,)
    return np.where(np.isfinite(norms), norms, np.nan)
