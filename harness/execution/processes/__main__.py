"""The worker process: imports one framework, then answers requests until its input ends."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from harness.execution.processes.messages import baseline_of, of_floor, of_result, to_problem
from harness.execution.processes.serving import Answer, modules_of, serve
from harness.execution.processes.transport import Message
from harness.implementations import Implementation, Unsupported, implementations, initialisers
from harness.layout import layouts
from harness.precision.error_floor import NoErrorFloor, from_intervals, from_wider_numbers
from harness.tensors import Structure
from harness.training import TrainingFailed, noise_of, run

FLOORS = {"from_intervals": from_intervals, "from_wider_numbers": from_wider_numbers}


def main(framework: str) -> None:
    """Serve one framework until the harness is gone."""
    serve(modules_of(framework), _answered)


def _answered(request: Message) -> Answer:
    try:
        if request.header["do"] == "initial_weights":
            return {"status": "ok"}, _initial_weights(request.header)
        if request.header["do"] == "rounding_noise":
            return {"status": "ok", "noise": noise_of(to_problem(request))}, {}
        if request.header["do"] == "floor":
            header, arrays = of_floor(FLOORS[request.header["way"]](to_problem(request), baseline_of(request)))
            return {"status": "ok", **header}, arrays
        chosen: Implementation = implementations()[request.header["implementation"]]
        header, arrays = of_result(run(chosen, to_problem(request)))
        return {"status": "ok", **header}, arrays
    except (Unsupported, NoErrorFloor) as reason:
        return {"status": "unsupported", "reason": str(reason)}, {}
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


if __name__ == "__main__":
    main(sys.argv[1])
