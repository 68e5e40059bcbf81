"""The plots of a report.

Colours are those of Okabe and Ito, which colour-blind readers can distinguish; lines differ in their dashes, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray

from harness.report.chart import BLACK, GREY, Line, chart, linear, logarithmic

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933")
DASHES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Plot:
    """An image.

    Attributes:
        svg: the image.
        alt: a description, for readers without images.
        caption: what to look for.
    """

    svg: str
    alt: str
    caption: str


def along_time(steps: ndarray, norm: ndarray, errors: Mapping[str, ndarray], what: str) -> Plot:
    """Plot the norm of a gradient at each step, and how far each implementation is off there.

    Args:
        steps: (S,).
        norm: of the baseline's gradient at each of them, (S,).
        errors: for each implementation, the largest absolute error there, (S,).
        what: the gradient's name.
    """
    lines = [Line("norm, baseline", steps, norm, BLACK, width=2.0)]
    lines += [_line(number, f"error, {name}", steps, each) for number, (name, each) in enumerate(errors.items())]
    x = linear("step", steps.astype(np.float64), whole=True)
    y = logarithmic(f"gradient of {what}, absolute", np.concatenate([line.y for line in lines]))
    alt = f"Norm of the gradient of {what} along time, from {norm[0]:.3g} at step 0 to {norm[-1]:.3g} at the last step"
    caption = f"Steps where the gradient of {what} vanishes, and where implementations differ from the baseline."
    return Plot(chart(lines, x, y), alt, caption)


def curves(of_baseline: ndarray, others: Mapping[str, ndarray], most: int) -> Plot:
    """Plot the loss at each step of a training, the baseline's and the others'.

    Args:
        of_baseline: (steps,).
        others: for each implementation, the worst first, (steps,).
        most: how many of them have a colour and a name; the rest are grey.
    """
    lines = [*_lines(others, most), Line("baseline", np.arange(len(of_baseline)), of_baseline, BLACK, ":", width=2.0)]
    x = linear("step of the training", np.concatenate([line.x for line in lines]).astype(np.float64), whole=True)
    values = np.concatenate([line.y for line in lines])
    wide = (of_baseline > 0).all() and of_baseline.max() > 30 * of_baseline.min()
    y = logarithmic("loss", values) if wide else linear("loss", values)
    alt = f"Loss along a training, from {of_baseline[0]:.3g} to {of_baseline[-1]:.3g}"
    return Plot(chart(lines, x, y), alt, "The loss at each step. Lines that coincide agree.")


def apart(of_baseline: ndarray, others: Mapping[str, ndarray], most: int) -> Plot | None:
    """Plot how far each loss of a training is off, absolute; None where none is off.

    Args:
        of_baseline: (steps,).
        others: for each implementation, the worst first, (steps,).
        most: how many of them have a colour and a name; the rest are grey.
    """
    with np.errstate(all="ignore"):
        errors = {
            name: np.abs(each.astype(np.float64) - of_baseline)
            for name, each in others.items()
            if each.shape == of_baseline.shape
        }
    if not any((each > 0).any() for each in errors.values()):
        return None
    lines = _lines(errors, most)
    x = linear("step of the training", np.arange(len(of_baseline), dtype=np.float64), whole=True)
    y = logarithmic("error of the loss, absolute", np.concatenate([line.y for line in lines]))
    last = ", ".join(f"{name} {each[-1]:.3g}" for name, each in list(errors.items())[:most])
    caption = (
        "The difference of each loss from the baseline's. Rounding alone makes an error that grows slowly, if at all."
    )
    return Plot(chart(lines, x, y), f"Error of the loss along a training, at the last step: {last}", caption)


def _lines(values: Mapping[str, ndarray], most: int) -> list[Line]:
    """Return a line for each implementation: the first ones over the others, which are grey with one name for all."""
    named, rest = list(values.items())[:most], list(values.items())[most:]
    grey = [Line("", np.arange(len(each)), each, GREY) for _, each in rest]
    if grey:
        grey[0] = replace(grey[0], label=f"{len(grey)} more, which are nearer" if len(grey) > 1 else rest[0][0])
    return [*grey, *(_line(number, name, np.arange(len(each)), each) for number, (name, each) in enumerate(named))]


def _line(number: int, label: str, x: ndarray, y: ndarray) -> Line:
    round_ = number // len(COLOURS)  # in which the colours are the same again, with other dashes
    return Line(label, x, y, COLOURS[number % len(COLOURS)], DASHES[(number + round_) % len(DASHES)])
