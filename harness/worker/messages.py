"""Problems and results as messages, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy import ndarray

from harness.case.fields import Case
from harness.problem import Problem
from harness.result import Result
from harness.trial import Trial
from harness.worker.transport import Message

_GRADIENT = "gradient:"
_WEIGHT = "weight:"
_STATE = "state:"
_SECOND = "second:"


def of_problem(problem: Problem) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Return the header and the arrays of a problem in the split layout."""
    arrays = {
        **{_WEIGHT + name: array for name, array in problem.weights.items()},
        **{_STATE + name: array for name, array in problem.initial_state.items()},
        "inputs": problem.inputs,
        "targets": problem.targets,
    }
    return {"case": problem.case.to_plain()}, arrays


def to_problem(message: Message) -> Problem:
    """Return the problem that a message holds."""
    return Problem(
        case=Case.from_plain(message.header["case"]),
        weights=_named(message.arrays, _WEIGHT),
        initial_state=_named(message.arrays, _STATE),
        inputs=message.arrays["inputs"],
        targets=message.arrays["targets"],
    )


def of_result(result: Result) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Return the header and the arrays of a result."""
    arrays = {_GRADIENT + name: array for name, array in result.gradients.items()}
    forward = {"loss": result.loss, "outputs": result.outputs}
    header = {"seconds": result.seconds, "misfits": dict(result.misfits)}
    return header, arrays | {name: each for name, each in forward.items() if each is not None}


def of_trial(trial: Trial) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Return the header and the arrays of a trial, without what its second call may have raised."""
    header, arrays = of_result(trial.result)
    header["remarks"] = [[each.kind, each.text] for each in trial.remarks]
    if trial.second is not None:
        header["second"], again = of_result(trial.second)
        arrays |= {_SECOND + name: array for name, array in again.items()}
    return header, arrays


def to_results(message: Message) -> tuple[Result | None, Result | None]:
    """Return the result that a message holds and, if there is one, the other answer of a second call."""
    if "seconds" not in message.header:
        return None, None
    first = {name: array for name, array in message.arrays.items() if not name.startswith(_SECOND)}
    if (second := message.header.get("second")) is None:
        return _result(message.header, first), None
    return _result(message.header, first), _result(second, _named(message.arrays, _SECOND))


def _result(header: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> Result:
    gradients = _named(arrays, _GRADIENT)
    return Result(arrays.get("loss"), arrays.get("outputs"), gradients, float(header["seconds"]), header["misfits"])


def _named(arrays: Mapping[str, ndarray], prefix: str) -> dict[str, ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
