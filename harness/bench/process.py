"""The process of the contestants of one framework: prepares, answers once for agreement, then runs and times.

``python -m harness.bench.process FRAMEWORK THREADS``. The clock is read here, so that no message is timed.
"""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from harness.bench.contestants import Pass, contestants
from harness.execution.processes.messages import of_result, to_problem
from harness.execution.processes.serving import Answer, serve
from harness.execution.processes.transport import Message
from harness.implementations import NUMPY, Unsupported
from harness.result import read

PRODUCT = "matrix product"
"""What is timed beside the contestants: the product of two square matrices, by NumPy."""

PRODUCT_SIZE = 768
"""Rows and columns of the two matrices: large enough for the machine's full speed, and some milliseconds."""


def main(framework: str, threads: int) -> None:
    """Serve the contestants of one framework until the harness is gone."""
    modules = next(
        (each.framework.modules for each in contestants().values() if each.framework.name == framework), NUMPY.modules
    )
    serve(modules, _BenchServer(threads).answered)


class _BenchServer:
    """Keeps the passes of the contestants that are prepared for the present problem."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.passes: dict[str, Pass] = {}

    def answered(self, request: Message) -> Answer:
        header = request.header
        try:
            match header["do"]:
                case "prepare":
                    return self._prepared(request)
                case "prepare_product":
                    self.passes[PRODUCT] = _product(header["dtype"])
                    return {"status": "ok"}, {}
                case "time":
                    taken = timed(self.passes[header["contestant"]], header["seconds"], header["most"])
                    return {"status": "ok"}, {"seconds": np.array(taken)}
                case "forget":
                    self.passes.clear()
                    return {"status": "ok"}, {}
                case unknown:
                    raise ValueError(f"{unknown!r} is no request")
        except Unsupported as reason:
            return {"status": "unsupported", "reason": str(reason)}, {}
        except Exception as error:  # whatever a contestant raises is an answer, and the next request is served
            reason_line = "".join(traceback.format_exception_only(error)).strip()
            return {"status": "error", "reason": reason_line, "detail": traceback.format_exc()}, {}

    def _prepared(self, request: Message) -> Answer:
        chosen = contestants()[request.header["contestant"]]
        problem = to_problem(request)
        run = chosen.prepare(problem.in_layout(chosen.layout), self.threads)
        start = time.perf_counter()
        returned = run()
        header, arrays = of_result(read(returned, chosen.layout, problem, time.perf_counter() - start))
        self.passes[chosen.name] = run
        return {"status": "ok", **header}, arrays


def timed(run: Callable[[], Any], seconds: float, most: int) -> list[tuple[float, float]]:
    """Run again and again, at least once, until so many seconds are over or it was run so often.

    Returns:
        For each time, the seconds on the clock and the seconds of all processors that this process had.
    """
    taken: list[tuple[float, float]] = []
    collecting = gc.isenabled()
    gc.disable()  # a collection belongs to no one run
    try:
        end = time.perf_counter() + seconds
        while not taken or (len(taken) < most and time.perf_counter() < end):
            processors, start = time.process_time(), time.perf_counter()
            run()
            taken.append((time.perf_counter() - start, time.process_time() - processors))
    finally:
        if collecting:
            gc.enable()
    return taken


def _product(dtype: str) -> Pass:
    random = np.random.Generator(np.random.PCG64(0))
    left, right = random.random((2, PRODUCT_SIZE, PRODUCT_SIZE)).astype(dtype)  # (N, N) each
    out = np.empty_like(left)  # (N, N)
    return lambda: {"product": np.matmul(left, right, out=out)}


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
