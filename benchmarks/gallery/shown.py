"""A fault shown on a case: the first case of the gallery on which it changes a result, and its effect there."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray

from harness.case import ValidCase, load
from harness.diagnosis import Predictions
from harness.diagnosis.committing import overridden, suspects_of
from harness.diagnosis.faults import Fault, Suspect, faults
from harness.diagnosis.predictions import in_double
from harness.diagnosis.sight import catalogue
from harness.diagnosis.tensor_faults import TENSOR_FAULTS, Subject
from harness.implementations import implementations
from harness.precision.rounding_noise import rounding_noise
from harness.problem import Problem, build

CASES = Path("docs/faults/cases")

ORDER = (
    "rnn",
    "some_steps",
    "two_layers",
    "relu",
    "softmax",
    "lstm",
    "gru_after",
    "gru_before",
    "detached",
    "lstm_detached",
    "windowed",
    "both_directions",
    "unequal_lengths",
    "at_the_kink",
    "large_logits",
    "square",
    "tokens",
)
"""The cases; the simplest comes first."""

CLEAR = 1e-6
"""Minimum error of a wrong element in a picture, relative to the tensor's largest.

It is far more than rounding, so that the pictures are the same on every machine."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A fault on a case.

    Attributes:
        name: The fault's name.
        about: The fault's explanation, with an ellipsis for each parameter.
        group: The module of the catalogue that contains it.
        case: The case.
        explained: The explanation with the chosen parameters; empty if there are none.
        right: Every tensor of the case, in float64.
        wrong: The same tensors with the fault.
        replaced: The method that the fault replaces, with the first line of its docstring; empty if it is no method.
        cells: The cells that can have it.
        hidden_by: The features of a case that can hide it.
        declare: The field that declares it in a case as intended; empty if it is never intended.
    """

    name: str
    about: str
    group: str
    case: ValidCase
    explained: str
    right: Mapping[str, ndarray]
    wrong: Mapping[str, ndarray]
    replaced: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    hidden_by: tuple[str, ...] = ()
    declare: str = ""

    @property
    def off(self) -> tuple[str, ...]:
        """The tensors that are wrong."""
        return tuple(name for name, right in self.right.items() if (error(self.wrong[name], right) > 0).any())


def error(wrong: ndarray, right: ndarray) -> ndarray:
    """Return the error of each element, relative to the largest right one: 0 if it is right, infinite for NaN."""
    with np.errstate(all="ignore"):
        scale = np.abs(right).max(initial=0.0) or 1.0
        off = np.where(wrong == right, 0.0, np.abs(wrong - right) / scale)
    return np.where(np.isnan(off), np.inf, np.where(off < CLEAR, 0.0, off))


def cases() -> list[ValidCase]:
    """Return the cases of the gallery, the simplest first."""
    return [prepared_case(name).case for name in ORDER]


def gallery() -> list[Shown]:
    """Commit every fault of the catalogue.

    Raises:
        ValueError: If a fault shows on no case.
    """
    problems = [prepared_case(name) for name in ORDER]
    prepared = [Predictions(problem, rounding_noise(problem)) for problem in problems]
    found = [_of_network(name, fault, prepared) for name, fault in faults().items()]
    return found + [_of_tensor(name, prepared) for name in TENSOR_FAULTS]


def prepared_case(name: str) -> Problem:
    """Return a case of the gallery with its arrays.

    Raises:
        ValueError: If its file is no case.
    """
    loaded = load([str(CASES / f"{name}.yaml")], implementations())
    if loaded.mistakes:
        raise ValueError("\n".join(map(str, loaded.mistakes)))
    (case,) = loaded.cases
    return build(case, _no_weights)


def _no_weights(*_: object) -> dict[str, ndarray]:
    raise AssertionError("a case of the gallery asks for no framework's weights")


def _of_network(name: str, fault: type[Fault], prepared: Sequence[Predictions]) -> Shown:
    for predictions in prepared:
        for suspect in _suspects(fault, predictions.problem):
            with np.errstate(all="ignore"):
                wrong = predictions.tensors((suspect,))
            shown = Shown(
                name=name,
                about=fault.described(),
                group=fault.__module__.rpartition(".")[2],
                case=predictions.problem.case,
                explained=suspect.explanation if suspect.parameters or suspect.layer is not None else "",
                right=predictions.truth,
                wrong=wrong,
                replaced=tuple(_replaced(fault)),
                cells=fault.cells,
                hidden_by=fault.hidden_by,
                declare=suspect.declaration,
            )
            if shown.off:
                return shown
    raise ValueError(f"{name} shows on no case of {CASES}: add one, and name it in ORDER")


def _suspects(fault: type[Fault], problem: Problem) -> list[Suspect]:
    """Return every way to commit a fault: first in all layers, then in one."""
    return sorted(suspects_of(fault, in_double(problem)), key=lambda each: each.layer is not None)


def _replaced(fault: type[Fault]) -> Iterator[str]:
    """Yield the methods of the layer or network that a fault replaces, with the first line of their docstrings."""
    right = [kind for kind in fault.__mro__ if not issubclass(kind, Fault)]
    for method in sorted(overridden(fault)):
        for kind in right:
            if method in vars(kind):
                says = (inspect.getdoc(vars(kind)[method]) or "").partition("\n")[0]
                yield f"`{kind.__name__}.{method}`" + (f": {says}" if says else "")
                break


def _of_tensor(name: str, prepared: Iterable[Predictions]) -> Shown:
    for predictions in prepared:
        for tensor in _examined(predictions.truth):
            for candidate in TENSOR_FAULTS[name][1](Subject(tensor, predictions.truth, predictions.problem)):
                wrong = {**predictions.truth, tensor: np.asarray(candidate.predicted)}
                explained = f"{tensor} is {candidate.text}."
                shown = Shown(
                    name, catalogue()[name], "tensors", predictions.problem.case, explained, predictions.truth, wrong
                )
                if shown.off:
                    return shown
    raise ValueError(f"{name} shows on no case of {CASES}: add one, and name it in ORDER")


def _examined(truth: Mapping[str, ndarray]) -> list[str]:
    """Return the names of the tensors, a matrix of recurrent weights first, since it is wrong most often."""
    return sorted((name for name in truth if name != "loss"), key=lambda name: not name.endswith("W_hh"))
