"""The process of one side: it reads, computes and writes by its framework.

``python -m harness.port.process SIDE``. A question names its file.
"""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path

from harness.execution.processes.messages import of_result, to_problem
from harness.execution.processes.serving import Answer, serve
from harness.execution.processes.transport import Message
from harness.implementations import Unsupported
from harness.port.sides import File, readers
from harness.result import read
from harness.tensors import Structure


def main(name: str) -> None:
    """Serve one side until the harness ends."""
    serve(readers()[name].framework.modules, lambda request: answered(name, request))


def answered(name: str, request: Message) -> Answer:
    """Answer a request to write, or to run on a file."""
    side, header = readers()[name], request.header
    try:
        if header["do"] == "write":
            structure = Structure(**header["structure"])
            side.write(Path(header["path"]), request.arrays, structure, header["activation"])
            return {"status": "ok"}, {}
        problem = to_problem(request)
        start = time.perf_counter()
        returned = side.returned(File.from_plain(header["file"]), problem)
        found, arrays = of_result(read(returned, side.layout, problem, time.perf_counter() - start))
        return {"status": "ok", **found}, arrays
    except Unsupported as reason:
        return {"status": "unsupported", "reason": str(reason)}, {}
    except Exception as error:  # whatever a framework raises is an answer, and the next request is served
        reason_line = "".join(traceback.format_exception_only(error)).strip()
        return {"status": "error", "reason": reason_line, "detail": traceback.format_exc()}, {}


if __name__ == "__main__":
    main(sys.argv[1])
