"""The process of one framework's contestants: it prepares them, returns their tensors once, then times their runs.

``python -m harness.bench.process FRAMEWORK THREADS``. The clock is read here, so that messages are not timed.
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
"""The name of NumPy's product of two square matrices, which is timed besides the contestants."""

PRODUCT_SIZE = 768
"""Rows and columns of the two matrices: large enough for the machine's full speed; a product takes milliseconds."""


def main(framework: str, threads: int) -> None:
    """Serve the contestants of one framework until the harness is gone."""
    modules = next(
        (each.framework.modules for each in contestants().values() if each.framework.name == framework), NUMPY.modules
    )
    serve(modules, _BenchServer(threads).answered)


class _BenchServer:
    """The server of one process; it keeps the contestants' passes for the present problem."""

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
        except Exception as error:  # a contestant's error is an answer, and the next request is served
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
    """Run repeatedly, at least once, for ``seconds`` seconds or ``most`` runs, whichever comes first.

    Returns:
        For each run, the seconds on the clock and this process's seconds on all processors.
    """
    taken: list[tuple[float, float]] = []
    collecting = gc.isenabled()
    gc.disable()  # a collection would be timed with a random run
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
