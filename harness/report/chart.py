"""Line charts as SVG, the same bytes each time.

Two axes, some lines and their names are a few elements of SVG. matplotlib takes longer to be imported than a small run
takes for all else, and a page has many charts, so it draws only what is no line chart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy import ndarray

WIDTH, HEIGHT = 403.2, 230.4
"""Size of the image, in points, as all lengths here; places count from its upper left corner."""

LEFT, RIGHT, TOP, BOTTOM = 54.0, 7.2, 7.2, 36.0
"""Margins between the edges of the image and the plot."""

ROW = 13.7
"""Height of a row of the legend, which is above the plot."""

TICKS = 6
TICK = 3.6
"""Length of a tick."""

SIZE, SMALL = 9.0, 8.0
"""Font sizes; the legend has the small one."""

BLACK = "#000000"
GREY = "#a0a0a0"
DASHES = {"-": (), "--": (3.7, 1.6), "-.": (6.4, 1.6, 1.0, 1.6), ":": (1.0, 1.65)}
"""Lengths of line and gap, in widths of the line."""

DARK = (
    "@media (prefers-color-scheme: dark) { rect { fill: #15171a } text { fill: #e8eaed } "
    '[style*="stroke: #000000"] { stroke: #e8eaed !important } }'
)
"""The style of a chart on a dark page."""

COLUMNS = 342
"""Number of columns of a line of many points, each a point wide.

The line is drawn by the first, least, largest and last point of each (M4: Jugel and others 2014, VLDB 7(10)).
"""

FEW = 100
"""Maximum number of points of a line that are all drawn."""

HAIR = 0.1
"""Maximum distance between a line and a point that it leaves out."""


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a chart.

    Attributes:
        label: its name in the legend; empty if it is not there.
        x, y: its points, (S,) each; what is not finite is left out.
        colour: as ``#rrggbb``.
        dashes: one of ``DASHES``.
        width: in points.
    """

    label: str
    x: ndarray
    y: ndarray
    colour: str
    dashes: str = "-"
    width: float = 1.2


MOST_ON_A_LINE = 1e300
"""Maximum value on a linear axis: a larger loss is on its way to infinity."""


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
    values = values.astype(np.float64)
    shown = values[np.abs(values) < MOST_ON_A_LINE]  # the length between two larger ones may be infinite
    low, high = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 0.0)
    margin = 0.04 * (high - low) or 0.5
    ticks = _round_numbers(low - margin, high + margin, whole=whole)
    return Axis(label, tuple((tick, f"{tick:.6g}") for tick in ticks), (low - margin, high + margin))


def _round_numbers(low: float, high: float, *, whole: bool) -> list[float]:
    """Return numbers in equal steps of 1, 2, 2.5 or 5 times a power of ten, ``TICKS`` or fewer (Heckbert 1990)."""
    least = max((high - low) / TICKS, 1.0 if whole else 0.0)
    power = 10.0 ** math.floor(math.log10(least))
    steps = (times * power for times in (1, 2, 2.5, 5, 10))
    step = next(each for each in steps if each >= least and not (whole and each % 1))
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


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
    size = {"width": f"{WIDTH}pt", "height": f"{HEIGHT}pt", "viewBox": f"0 0 {WIDTH} {HEIGHT}"}
    svg = Element("svg", size, xmlns="http://www.w3.org/2000/svg", version="1.1")
    ElementTree.SubElement(svg, "style").text = DARK
    ElementTree.SubElement(svg, "rect", width="100%", height="100%", fill="#ffffff")
    named = [each for each in lines if each.label]
    top = TOP + ROW * math.ceil(len(named) / 2)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - top
    for each in lines:
        across, up = x.along(each.x), y.along(each.y)
        points = np.stack([LEFT + wide * across, top + high * (1 - up)], axis=1)  # (S, 2)
        _draw(svg, _thinned(points), each)
    _frame(svg, top, x, y)
    for number, each in enumerate(named):
        left, level = LEFT + (number % 2) * wide / 2, TOP / 2 + ROW * (number // 2 + 0.5)
        _draw(svg, np.array([[left, level], [left + 21.6, level]]), each)
        _write(svg, left + 27.4, level, each.label, "start", SMALL)
    return ElementTree.tostring(svg, encoding="unicode")


def _thinned(points: ndarray) -> ndarray:
    """Return those of points (S, 2), from left to right, that make the line on a screen."""
    if len(points) <= FEW:
        return points
    if len(points) > 4 * COLUMNS:
        columns = np.array_split(np.arange(len(points)), COLUMNS)
        points = points[[each for column in columns for each in _m4(points, column)]]
    return _straightened(points)


def _m4(points: ndarray, column: ndarray) -> list[int]:
    """Return which of the points (S, 2) in a column stay: its ends, the least, the largest, the first gap."""
    up = points[column, 1]
    shown = np.flatnonzero(np.isfinite(up))
    gaps = np.flatnonzero(~np.isfinite(up))[:1]
    extremes = [shown[up[shown].argmin()], shown[up[shown].argmax()]] if len(shown) else []
    return [int(column[each]) for each in sorted({0, len(column) - 1, *map(int, gaps), *map(int, extremes)})]


def _straightened(points: ndarray) -> ndarray:
    """Leave out points (S, 2) that a line from the last kept to the next kept passes by within a hair."""
    listed, kept = points.tolist(), [0] if len(points) else []
    flattest, steepest = -math.inf, math.inf  # slopes from the last kept that pass all points since within a hair
    for number in range(1, len(listed)):
        across, up = listed[number]
        from_last = listed[kept[-1]]
        if not flattest <= _slope(from_last, (across, up)) <= steepest:  # false for a gap, too: its slope is NaN
            if kept[-1] != number - 1:
                kept.append(number - 1)
                from_last = listed[number - 1]
            flattest, steepest = -math.inf, math.inf
            if math.isnan(_slope(from_last, (across, up))):
                kept.append(number)
                continue
        flattest = max(flattest, _slope(from_last, (across, up - HAIR)))
        steepest = min(steepest, _slope(from_last, (across, up + HAIR)))
    return points[[*kept, len(listed) - 1]] if kept and kept[-1] != len(listed) - 1 else points[kept]


def _slope(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the slope from one point to another on its right; NaN if there is none, or one is not there."""
    run = other[0] - one[0]
    return (other[1] - one[1]) / run if run > 0 else math.nan


def _draw(svg: Element, points: ndarray, line: Line) -> None:
    """Draw a line through points, (S, 2), with a gap where one is not finite."""
    commands, before = [], False
    for across, up in points.tolist():
        there = math.isfinite(across) and math.isfinite(up)
        if there:
            commands.append(f"{'L' if before else 'M'} {across:.2f} {up:.2f}")
        before = there
    dashes = ",".join(f"{each * line.width:.4g}" for each in DASHES[line.dashes])
    dashed = f" stroke-dasharray: {dashes};" if dashes else ""
    cap = "butt" if dashes else "square"
    look = f"fill: none;{dashed} stroke: {line.colour}; stroke-width: {line.width}; stroke-linecap: {cap}"
    ElementTree.SubElement(svg, "path", d=" ".join(commands), style=f"{look}; stroke-linejoin: round")


def _write(svg: Element, across: float, level: float, text: str, anchor: str, size: float = SIZE) -> None:
    """Write a text, vertically centred on a level; it begins, has its middle or ends at ``across``."""
    base = level + 0.36 * size  # half of the height of a capital
    style = f"font: {size:g}px 'DejaVu Sans', sans-serif; text-anchor: {anchor}"
    ElementTree.SubElement(svg, "text", x=f"{across:.2f}", y=f"{base:.2f}", style=style).text = text


def _frame(svg: Element, top: float, x: Axis, y: Axis) -> None:
    """Draw the two axes, their ticks and what is written at them."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def draw(*points: tuple[float, float]) -> None:
        _draw(svg, np.array(points), Line("", np.empty(0), np.empty(0), BLACK, width=0.8))

    draw((LEFT, top), (LEFT, bottom), (right, bottom))
    for at, text in x.ticks:
        across = LEFT + (right - LEFT) * float(x.at(np.asarray(at)))
        draw((across, bottom), (across, bottom + TICK))
        _write(svg, across, bottom + TICK + SIZE, text, "middle")
    for at, text in y.ticks:
        level = bottom - (bottom - top) * float(y.at(np.asarray(at)))
        draw((LEFT, level), (LEFT - TICK, level))
        _write(svg, LEFT - TICK - 2, level, text, "end")
    _write(svg, (LEFT + right) / 2, HEIGHT - SIZE, x.label, "middle")
    _write(svg, 0, 0, y.label, "middle")
    svg[-1].set("transform", f"translate({SIZE} {(top + bottom) / 2:.2f}) rotate(-90)")
