"""An answer to a question, in the process that is asked: what each question of ``asking`` means."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from harness.derive.stepping import StepError
from harness.execution.processes.messages import baseline_of, of_diagnoses, of_floor, of_result, tensors_of, to_problem
from harness.execution.processes.serving import Answer
from harness.execution.processes.transport import Message
from harness.implementations import Unsupported, implementation_named, initialisers
from harness.layout import layouts
from harness.precision.error_floor import NoErrorFloor, from_intervals, from_wider_numbers
from harness.problem import Problem
from harness.recurrences import Recurrence
from harness.tensors import Structure
from harness.training import TrainingFailed, noise_of, run

FLOORS = {"from_intervals": from_intervals, "from_wider_numbers": from_wider_numbers}


def answered(request: Message, known: Mapping[str, Recurrence] | None = None) -> Answer:
    """Return the header and the arrays of an answer; an error of an implementation is an answer, too.

    Args:
        request: the question.
        known: recurrences by name beside the library's.
    """
    try:
        if request.header["do"] == "initial_weights":
            return {"status": "ok"}, _initial_weights(request.header)
        if request.header["do"] == "rounding_noise":
            return {"status": "ok", "noise": noise_of(to_problem(request, known))}, {}
        if request.header["do"] == "floor":
            header, arrays = of_floor(FLOORS[request.header["way"]](to_problem(request, known), baseline_of(request)))
            return {"status": "ok", **header}, arrays
        if request.header["do"] == "explain":
            from harness.diagnosis.recurrent import Explainer  # imports rules, which only a wrong answer needs

            explainer = Explainer(to_problem(request, known), request.header["noise"])
            found = explainer.explained(tensors_of(request), request.header["matching"])
            return {"status": "ok", "diagnoses": of_diagnoses(found)}, {}
        if request.header["do"] == "sight":
            return _sight(to_problem(request, known))
        chosen = implementation_named(request.header["implementation"])
        assert chosen is not None
        header, arrays = of_result(run(chosen, to_problem(request, known)))
        return {"status": "ok", **header}, arrays
    except (Unsupported, NoErrorFloor) as reason:
        return {"status": "unsupported", "reason": str(reason)}, {}
    except StepError as refused:  # a mistake in a user's step, with its line
        return {"status": "error", "reason": str(refused), "detail": ""}, {}
    except TrainingFailed as failed:
        header, arrays = of_result(failed.result)
        reason_line = "".join(traceback.format_exception_only(failed.error)).strip()
        told = {"status": "error", "reason": f"{failed}: {reason_line}", "detail": traceback.format_exc()}
        return {**header, **told}, arrays
    except Exception as error:  # whatever an implementation raises is an answer, and the next request is served
        reason_line = "".join(traceback.format_exception_only(error)).strip()
        return {"status": "error", "reason": reason_line, "detail": traceback.format_exc()}, {}


def _initial_weights(header: Any) -> dict[str, Any]:
    chosen = initialisers()[header["framework"]]
    structure = Structure(**header["structure"])
    assert chosen.initial_weights is not None
    weights = chosen.initial_weights(structure, header["seed"], header["dtype"])
    return layouts()[chosen.layout].to_canonical(weights, structure)


def _sight(problem: Problem) -> Answer:
    from harness.diagnosis.recurrent.sight import TooLargeError, sight
    from harness.problem.recurrent import RecurrenceProblem

    if not isinstance(problem, RecurrenceProblem):
        return {"status": "unsupported", "reason": "the faults of a step are tried without a network around it"}, {}
    try:
        return {"status": "ok", "sight": asdict(sight(problem))}, {}
    except TooLargeError as reason:
        return {"status": "unsupported", "reason": str(reason)}, {}
