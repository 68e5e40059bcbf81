"""Plots as images that a page can hold: SVG, the same bytes each time.

Colours are those of Okabe and Ito, which people tell apart however they see colours; lines differ in their dashes, too.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933")
DASHES = ("-", "--", "-.", ":")
SIZE = (5.6, 3.2)
"""In inches."""

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


@dataclass(frozen=True)
class Plot:
    """An image.

    Attributes:
        svg: the image.
        alt: what it shows, for those who do not see it.
        caption: what to look for.
    """

    svg: str
    alt: str
    caption: str

    @property
    def source(self) -> str:
        """The image as a data URI."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode()


def ulp_histogram(errors: Mapping[str, Sequence[float]]) -> Plot:
    """Plot how many tensors have a largest error of so many ulp, for each implementation.

    Args:
        errors: for each implementation, the largest error of each tensor, in ulp.
    """
    edges = [0, 1, *(2**k for k in range(1, 25, 2)), math.inf]
    with _styled() as style:
        figure, axes = style
        for number, (name, values) in enumerate(errors.items()):
            counts, _ = np.histogram(
                np.nan_to_num(np.asarray(values), nan=np.inf, posinf=np.inf), [*edges[:-1], np.inf]
            )
            axes.plot(range(len(counts)), counts, drawstyle="steps-mid", label=name, **_line(number))
        axes.set_xticks(range(len(edges) - 1), ["0", "1", *(f"{edge:g}" for edge in edges[2:-1])], rotation=60)
        axes.set_xlabel("largest error of a tensor, ulp (from here to the next)")
        axes.set_ylabel("tensors")
        axes.legend(ncols=2)
        svg = image(figure)
    worst = ", ".join(f"{name} median {np.median(values):.3g}" for name, values in errors.items())
    caption = (
        "Errors in units in the last place. An element that is small because larger terms cancelled is many ulp off."
    )
    return Plot(svg, f"Histogram of errors in ulp by implementation: {worst}", caption)


def along_time(steps: ndarray, norm: ndarray, errors: Mapping[str, ndarray], what: str) -> Plot:
    """Plot the norm of a gradient at each step, and how far each implementation is off there.

    Args:
        steps: (S,).
        norm: of the baseline's gradient at each of them, (S,).
        errors: for each implementation, the largest absolute error there, (S,).
        what: the gradient's name.
    """
    with _styled() as style:
        figure, axes = style
        axes.plot(steps, _positive(norm), color="black", linewidth=2, label="norm, baseline")
        for number, (name, values) in enumerate(errors.items()):
            axes.plot(steps, _positive(values), label=f"error, {name}", **_line(number))
        _logarithmic(axes)
        _whole_steps(axes)
        axes.set_xlabel("step")
        axes.set_ylabel(f"gradient of {what}, absolute")
        axes.legend(ncols=2)
        svg = image(figure)
    alt = f"Norm of the gradient of {what} along time, from {norm[0]:.3g} at step 0 to {norm[-1]:.3g} at the last step"
    return Plot(svg, alt, f"Where the gradient of {what} vanishes, and where implementations part from the baseline.")


def curves(of_baseline: ndarray, others: Mapping[str, ndarray]) -> Plot:
    """Plot the loss at each step of a training, the baseline's and the others'.

    Args:
        of_baseline: (steps,).
        others: for each implementation, (steps,).
    """
    with _styled() as style:
        figure, axes = style
        axes.plot(of_baseline, color="black", linewidth=2, label="baseline")
        for number, (name, values) in enumerate(others.items()):
            axes.plot(values, label=name, **_line(number))
        _whole_steps(axes)
        axes.set_xlabel("step of the training")
        axes.set_ylabel("loss")
        if (of_baseline > 0).all() and of_baseline.max() > 30 * of_baseline.min():
            _logarithmic(axes)
        axes.legend(ncols=2)
        svg = image(figure)
    alt = f"Loss along a training, from {of_baseline[0]:.3g} to {of_baseline[-1]:.3g}"
    return Plot(svg, alt, "The loss at each step; lines that lie on each other agree.")


class _styled:  # noqa: N801 - used as a context manager
    """A figure in the style of the report."""

    def __enter__(self) -> tuple[Figure, Any]:
        import matplotlib as mpl
        from matplotlib.figure import Figure

        self._context = mpl.rc_context(STYLE)
        self._context.__enter__()
        figure = Figure(figsize=SIZE)
        figure.subplots_adjust(left=0.13, right=0.98, top=0.97, bottom=0.15)
        return figure, figure.subplots()

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(*error)  # type: ignore[arg-type]


def _whole_steps(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _logarithmic(axes: Any) -> None:
    """Make the upright axis logarithmic, with ticks in plain text: matplotlib's mathematics takes seconds."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(numticks=7))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}"))


def _line(number: int) -> dict[str, Any]:
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[number % len(DASHES)],
        "linewidth": 1.2,
    }


def _positive(values: ndarray) -> ndarray:
    """Leave out what a logarithmic axis cannot show."""
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def image(figure: Figure) -> str:
    """Return a figure as SVG, without what no viewer needs: half of the bytes, and the same each time."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    lines = written.getvalue().partition("<svg ")[2].splitlines()
    return _IDLE.sub("", "<svg " + " ".join(line.strip() for line in lines)).replace("> <", "><")


_IDLE = re.compile(r' transform="rotate\(-?0 [^"]*"|(?<=<g) id="[^"]*"|<!--.*?-->|(?<=\d\.\d\d)\d+')
"""Turns by no angle, names that nothing refers to, remarks, and digits beyond a hundredth of a point."""
