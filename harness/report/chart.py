"""Line charts as SVG, the same bytes each time.

matplotlib's axes take a tenth of a second for a chart, most of it for ticks that are laid out several times. These are
its lines and texts set where they belong, in a fifth of the time, for a page has many.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = (5.6, 3.2)
"""In inches."""

LEFT, RIGHT, TOP, BOTTOM = 0.75, 0.1, 0.1, 0.5
"""Between the edges of the image and the plot, in inches."""

ROW = 0.19
"""Height of a row of the legend, in inches; it stands above the plot, where no line can be."""

TICKS = 6
TICK = 0.05
"""Length of a tick, in inches."""

STYLE: Any = {
    "svg.hashsalt": "harness",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "path.simplify_threshold": 0.5,
}


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a chart.

    Attributes:
        label: its name in the legend.
        x, y: its points, (S,) each; what is not finite is left out.
        colour: as matplotlib has it.
        dashes: as matplotlib has it.
        width: in points.
        steps: whether it goes in steps, each point's in the middle of its step.
    """

    label: str
    x: ndarray
    y: ndarray
    colour: str
    dashes: str = "-"
    width: float = 1.2
    steps: bool = False


MOST_ON_A_LINE = 1e300
"""What a linear axis leaves out: a loss so large is on its way to infinity."""


@dataclass(frozen=True)
class Axis:
    """An axis of a chart.

    Attributes:
        label: what it shows.
        ticks: where the ticks are on its scale, and what is written there.
        limits: its ends on its scale, not equal.
        logarithmic: whether equal factors are equal lengths; its scale is then that of powers of ten.
    """

    label: str
    ticks: tuple[tuple[float, str], ...]
    limits: tuple[float, float]
    logarithmic: bool = False

    def along(self, values: ndarray) -> ndarray:
        """Return how far along the axis values are, from 0 to 1; NaN for what it cannot show."""
        with np.errstate(all="ignore"):
            return self.at(np.log10(values) if self.logarithmic else values)

    def at(self, places: ndarray) -> ndarray:
        """Return how far along the axis places on its scale are, from 0 to 1; NaN for what it cannot show."""
        first, last = self.limits
        with np.errstate(all="ignore"):
            part = (places - first) / (last - first)
        return np.where((part > -1) & (part < 2), part, np.nan)


def linear(label: str, values: ndarray, *, whole: bool = False) -> Axis:
    """Return an axis for values.

    Args:
        label: what it shows.
        values: what is to be seen on it; what is not finite or nearly so is not.
        whole: whether ticks are at whole numbers alone.
    """
    from matplotlib.ticker import MaxNLocator

    values = values.astype(np.float64)
    shown = values[np.abs(values) < MOST_ON_A_LINE]  # the length between two larger ones may be infinite
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 0.0)
    margin = 0.04 * (high - low) or 0.5
    ticks = MaxNLocator(nbins=TICKS, steps=[1, 2, 2.5, 5, 10], integer=whole).tick_values(low, high)
    inside = [float(tick) for tick in ticks if low - margin <= tick <= high + margin]
    return Axis(label, tuple((tick, f"{tick:.6g}") for tick in inside), (low - margin, high + margin))


def logarithmic(label: str, values: ndarray) -> Axis:
    """Return a logarithmic axis, of whole decades, for what is positive of the values."""
    positive = values[np.isfinite(values) & (values > 0)]
    first, last = (
        (math.floor(math.log10(positive.min())), math.ceil(math.log10(positive.max()))) if positive.size else (0, 0)
    )
    last = max(last, first + 1)
    every = math.ceil((last - first) / TICKS)
    # As powers: the ends of the decades may be beyond what a float64 holds, as its largest and least numbers show.
    ticks = tuple((float(power), f"1e{power:+03d}") for power in range(first, last + 1, every))
    return Axis(label, ticks, (float(first), float(last)), logarithmic=True)


def chart(lines: Sequence[Line], x: Axis, y: Axis) -> str:
    """Return a line chart as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    width, height = SIZE
    top = TOP + ROW * math.ceil(len(lines) / 2)
    box = (LEFT, BOTTOM, width - LEFT - RIGHT, height - BOTTOM - top)  # left, bottom, width, height, in inches
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE)

        def draw(across: ndarray, up: ndarray, **look: Any) -> None:
            figure.add_artist(Line2D(across / width, up / height, **look))

        def write(across: float, up: float, text: str, **look: Any) -> None:
            figure.text(across / width, up / height, text, **look)

        for each in lines:
            across, up = box[0] + box[2] * x.along(each.x), box[1] + box[3] * y.along(each.y)
            draw(across, up, **_look(each), drawstyle="steps-mid" if each.steps else "default")
        _frame(draw, write, box, x, y)
        for number, each in enumerate(lines):
            left, level = LEFT + (number % 2) * box[2] / 2, height - TOP / 2 - ROW * (number // 2 + 0.5)
            draw(np.array([left, left + 0.3]), np.array([level, level]), **_look(each))
            write(left + 0.38, level, each.label, va="center", size=8)
        return image(figure)


def _look(line: Line) -> dict[str, Any]:
    return {"color": line.colour, "linestyle": line.dashes, "linewidth": line.width}


def _frame(draw: Any, write: Any, box: tuple[float, float, float, float], x: Axis, y: Axis) -> None:
    """Draw the two axes, their ticks and what is written at them."""
    left, bottom, wide, high = box
    thin = {"color": "black", "linewidth": 0.8}
    draw(np.array([left, left, left + wide]), np.array([bottom + high, bottom, bottom]), **thin)
    ticks = left + wide * x.at(np.array([at for at, _ in x.ticks]))  # (ticks,)
    draw(_dashes(ticks, ticks), _dashes(np.full_like(ticks, bottom), np.full_like(ticks, bottom - TICK)), **thin)
    for at, (_, text) in zip(ticks, x.ticks, strict=True):
        write(at, bottom - 0.08, text, ha="center", va="top")
    ticks = bottom + high * y.at(np.array([at for at, _ in y.ticks]))
    draw(_dashes(np.full_like(ticks, left), np.full_like(ticks, left - TICK)), _dashes(ticks, ticks), **thin)
    for at, (_, text) in zip(ticks, y.ticks, strict=True):
        write(left - 0.08, at, text, ha="right", va="center")
    write(left + wide / 2, 0.05, x.label, ha="center")
    write(0.12, bottom + high / 2, y.label, rotation=90, ha="center", va="center")


def _dashes(starts: ndarray, ends: ndarray) -> ndarray:
    """Return one coordinate of a line that is drawn from each start to its end alone, (3·ticks,)."""
    return np.stack([starts, ends, np.full_like(starts, np.nan)], axis=1).ravel()


def image(figure: Figure) -> str:
    """Return a figure as SVG, without what no viewer needs: half of the bytes, and the same each time."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    lines = written.getvalue().partition("<svg ")[2].splitlines()
    return _IDLE.sub("", "<svg " + " ".join(line.strip() for line in lines)).replace("> <", "><")


_IDLE = re.compile(r' transform="rotate\(-?0 [^"]*"|(?<=<g) id="[^"]*"|<!--.*?-->|(?<=\d\.\d\d)\d+')
"""Turns by no angle, names that nothing refers to, remarks, and digits beyond a hundredth of a point."""
