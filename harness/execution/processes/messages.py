"""Problems and results as messages, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy import ndarray

from harness.case.fields import ValidCase
from harness.execution.processes.transport import Message
from harness.problem import Problem
from harness.problem.recurrent import RecurrenceProblem, known_as
from harness.recurrences import Recurrence
from harness.result import Answer, Result

if TYPE_CHECKING:
    from harness.diagnosis.explanation import Diagnosis
    from harness.low_precision import LowPrecision
    from harness.precision.error_floor import ErrorFloor

_GRADIENT = "gradient:"
_OF = {"weights": "weight:", "inputs": "input:", "initial_state": "state:", "upstream_state": "upstream:"}
_KNOWN = "known:"
_HALF_UNIT = "half_unit:"
_BASELINE = "baseline:"
_ACTUAL = "actual:"
_ERROR = "error:"
_SECOND = "second:"
_TRAINING = "training:"
_PER_STEP = "per_step:"


def of_problem(problem: Problem) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Return the header and the arrays of a problem in the split layout."""
    arrays = {_OF[kind] + name: array for kind, held in problem.by_name.items() for name, array in held.items()}
    arrays |= {} if "inputs" in problem.by_name else {"inputs": problem.inputs}
    return {"case": problem.case.to_plain()}, {**arrays, "targets": problem.targets}


def to_problem(message: Message, known: Mapping[str, Recurrence] | None = None) -> Problem:
    """Return the problem that a message holds.

    Args:
        message: the message.
        known: recurrences by name beside the library's.
    """
    case = ValidCase.from_plain(message.header["case"])
    arrays: dict[str, Any] = {kind: _named(message.arrays, prefix) for kind, prefix in _OF.items()}
    arrays |= {name: message.arrays[name] for name in ("inputs", "targets") if name in message.arrays}
    recurrence = None if case.recurrence is None else known_as(case, known)
    if recurrence is not None and not case.is_network:
        return RecurrenceProblem(case=case, recurrence=recurrence, **arrays)
    del arrays["upstream_state"]
    return Problem(case=case, recurrence=recurrence, **arrays)


def of_result(result: Result) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Return the header and the arrays of a result."""
    arrays = {_GRADIENT + name: array for name, array in result.gradients.items()}
    forward = {"loss": result.loss, "outputs": result.outputs, "directional": result.directional}
    arrays |= {name: each for name, each in forward.items() if each is not None}
    arrays |= {_KNOWN + name: each for name, each in result.known.items()}
    arrays |= {_HALF_UNIT + name: each for name, each in result.half_units.items()}
    arrays |= {_TRAINING + name: each for name, each in result.training.items()}
    arrays |= {_PER_STEP + name: each for name, each in result.per_step.items()}
    return {"seconds": result.seconds, "misfits": dict(result.misfits), "untrained": result.untrained}, arrays


def of_tensors(tensors: Mapping[str, ndarray]) -> dict[str, ndarray]:
    """Return the arrays of what an implementation returned, for a question about them."""
    return {_ACTUAL + name: array for name, array in tensors.items()}


def tensors_of(message: Message) -> dict[str, ndarray]:
    """Return what an implementation returned, of a message that asks about it."""
    return _named(message.arrays, _ACTUAL)


def of_low_precision(report: LowPrecision) -> dict[str, Any]:
    """Return the result of a check in low precision as JSON can hold it."""
    return {
        "case": report.case.to_plain(),
        "judged": [[each.tensor, list(each.shape), "; ".join(each.faults)] for each in report.tensors],
        "diagnoses": of_diagnoses(report.diagnoses),
        "text": report.table if report.tensors else "",
    }


def of_diagnoses(diagnoses: Sequence[Diagnosis]) -> list[list[Any]]:
    """Return diagnoses as JSON can hold them: a residual that is NaN becomes null."""
    return [
        [
            each.fault,
            each.explanation,
            [[name, None if math.isnan(residual) else residual] for name, residual in each.residuals.items()],
            each.start,
        ]
        for each in diagnoses
    ]


def to_diagnoses(plain: Sequence[Sequence[Any]]) -> list[Diagnosis]:
    """Return the diagnoses that ``of_diagnoses`` was called on."""
    from harness.diagnosis.explanation import Diagnosis

    return [
        Diagnosis(
            fault,
            explanation,
            {name: math.nan if residual is None else residual for name, residual in residuals},
            start,
        )
        for fault, explanation, residuals, start in plain
    ]


def of_floor_request(problem: Problem, baseline: Mapping[str, ndarray]) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Return the header and the arrays of a problem with the baseline's tensors."""
    header, arrays = of_problem(problem)
    return header, {**arrays, **{_BASELINE + name: array for name, array in baseline.items()}}


def baseline_of(message: Message) -> dict[str, ndarray]:
    """Return the baseline's tensors that a message holds."""
    return _named(message.arrays, _BASELINE)


def of_floor(floor: ErrorFloor) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Return the header and the arrays of a floor."""
    header = {"source": floor.source, "rounding": dict(floor.rounding), "reason": floor.reason}
    return header, {_ERROR + name: array for name, array in floor.errors.items()}


def to_floor(message: Message) -> ErrorFloor:
    """Return the floor that a message holds."""
    from harness.precision.error_floor import ErrorFloor

    header = message.header
    return ErrorFloor(header["source"], _named(message.arrays, _ERROR), header["rounding"], header["reason"])


def of_answer(answer: Answer) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Return the header and the arrays of an answer that has a result, without the exception of a second call."""
    assert answer.result is not None
    header, arrays = of_result(answer.result)
    header["remarks"] = [[each.kind, each.text] for each in answer.remarks]
    if answer.second is not None:
        header["second"], again = of_result(answer.second)
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
    return Result(
        arrays.get("loss"),
        arrays.get("outputs"),
        _named(arrays, _GRADIENT),
        float(header["seconds"]),
        _named(arrays, _KNOWN),
        _named(arrays, _HALF_UNIT),
        arrays.get("directional"),
        header["misfits"],
        _named(arrays, _TRAINING),
        _named(arrays, _PER_STEP),
        header["untrained"],
    )


def _named(arrays: Mapping[str, ndarray], prefix: str) -> dict[str, ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
