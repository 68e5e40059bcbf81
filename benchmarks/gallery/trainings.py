"""Faults of a training with right gradients: each on a small training, with its loss and its gradient at each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from benchmarks.gallery.picture import RIGHT, WRONG
from benchmarks.gallery.shown import CASES, prepared_case
from harness.case import ValidCase
from harness.diagnosis.training_faults import TrainingFault, catalogue, faults_of
from harness.problem import Problem
from harness.problem.reference import solve
from harness.report.figures import STYLE, image
from harness.training import Trained, train

ORDER = ("sgd", "adam", "clipped", "clipped_adam", "rising", "stateful", "frozen")
"""The cases, ``training_…`` each; the simplest comes first."""

CLEAR = 1e-10
"""Minimum error of a wrong loss or weight, relative to the largest: far more than rounding."""

TO_BE_SEEN = 0.01
"""Minimum error of a curve that is worth a picture, relative to its largest value."""


@dataclass(frozen=True, eq=False)
class ShownTraining:
    """A fault of a training on a case.

    Attributes:
        name: The fault's name.
        about: The fault's explanation.
        explained: The explanation with the chosen parameters; empty if there are none.
        case: The case.
        right: The right training.
        wrong: The training with the fault.
    """

    name: str
    about: str
    explained: str
    case: ValidCase
    right: Trained
    wrong: Trained

    @property
    def first_off(self) -> int | None:
        """The first step whose loss is wrong; None if no loss is."""
        off = _off(self.wrong.losses, self.right.losses)
        return int(off.argmax()) if off.any() else None

    @property
    def seen(self) -> bool:
        """True if the error of a curve is visible in a picture."""
        pairs = ((self.wrong.losses, self.right.losses), (self.wrong.norms, self.right.norms))
        return any(_off(*pair, TO_BE_SEEN).any() for pair in pairs)

    @property
    def off(self) -> tuple[str, ...]:
        """The wrong results: the loss curve, trained weights."""
        return tuple(name for name, right in self.right.tensors.items() if _off(self.wrong.tensors[name], right).any())


def _off(wrong: ndarray, right: ndarray, least: float = CLEAR) -> ndarray:
    with np.errstate(all="ignore"):
        return ~(np.abs(wrong - right) <= least * np.abs(right).max(initial=0.0))


def cases() -> list[ValidCase]:
    """Return the cases of trainings, the simplest first."""
    return [problem.case for problem in _problems()]


def _problems() -> list[Problem]:
    return [prepared_case(f"training_{name}") for name in ORDER]


def trainings() -> list[ShownTraining]:
    """Commit every fault of a training.

    Raises:
        ValueError: If a fault shows on no case.
    """
    problems = [(problem, train(problem, _exactly)) for problem in _problems()]
    return [_shown(name, about, problems) for name, about in catalogue().items()]


def _shown(name: str, about: str, problems: list[tuple[Problem, Trained]]) -> ShownTraining:
    for problem, right in problems:
        for fault in (each for each in faults_of(problem) if each.fault() == name):
            explained = fault.explanation() if fault.explanation() != about else ""
            shown = ShownTraining(name, about, explained, problem.case, right, _with_fault(fault, problem))
            if shown.off:
                return shown
    raise ValueError(f"{name} shows on no training of {CASES}: add one, and name it in ORDER")


def _with_fault(fault: type[TrainingFault], problem: Problem) -> Trained:
    read = fault.read(problem)
    training = read.case.training
    assert training != "none"
    with np.errstate(all="ignore"):
        return train(read, _exactly, fault(training))


def _exactly(problem: Problem) -> tuple[ndarray, Mapping[str, ndarray]]:
    found = solve(problem)
    return found["loss"], found


def picture(shown: ShownTraining) -> str:
    """Return the picture of a fault of a training: loss, and norm of the gradient, at each step."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**STYLE, "font.size": 8.0}):
        figure = Figure(figsize=(6.0, 1.9), facecolor="white")
        left, right = figure.subplots(1, 2)
        figure.subplots_adjust(left=0.08, right=0.99, top=0.88, bottom=0.2, wspace=0.22)
        _curves(left, "loss", shown.right.losses, shown.wrong.losses)
        _curves(right, "norm of the gradient", shown.right.norms, shown.wrong.norms)
        left.legend(loc="best", borderaxespad=0.2, handlelength=2.2)
        return image(figure) + "\n"


def _curves(axes: Any, what: str, right: ndarray, wrong: ndarray) -> None:
    """Plot two curves, (steps,) each; a curve far above the right one leaves the plot at its top."""
    axes.plot(right, color=RIGHT, linewidth=1.6, label="right")
    axes.plot(wrong, color=WRONG, linewidth=1.2, linestyle="--", label="wrong")
    highest = max(right.max(), min(np.nanmax(wrong), 3 * right.max()))
    axes.set_ylim(0, 1.08 * highest)
    axes.locator_params(axis="y", nbins=4)
    axes.set_xticks(range(0, len(right), 2))
    axes.set_xlabel("step of the training", labelpad=1)
    axes.set_title(what, fontsize=8, pad=3)
