"""One `harness run` with its processor time by part: only its own process, and each second in one part.

    python -m benchmarks.run_cost.parts FILE.json run CASE… --out DIR

The harness's own functions are timed by the clock of the calling thread, so that neither waiting for a worker nor
another thread counts. The time of a timed function inside another counts for the inner one. Workers are the processes
of the frameworks; the system reports their time when they have ended.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

PARTS = {
    "case files": ["harness.case:load"],
    "arrays": ["harness.execution.session.running:build"],
    "messages": [
        "harness.execution.processes.process:WorkerProcess.ask",
        "harness.execution.processes.process:WorkerProcess.__init__",
        "harness.execution.processes.asking:of_problem",
        "harness.execution.processes.asking:of_floor_request",
        "harness.execution.processes.asking:to_results",
        "harness.execution.processes.asking:to_floor",
    ],
    "cache": [
        "harness.execution.processes.answer_cache:AnswerCache.key",
        "harness.execution.processes.answer_cache:AnswerCache.get",
        "harness.execution.processes.answer_cache:AnswerCache.put",
        "harness.execution.processes.answer_cache:AnswerCache.trace",
        "harness.execution.processes.answer_cache:AnswerCache.close",
    ],
    "comparison": ["harness.execution.session.running:judge_case"],
    "diagnosis": ["harness.execution.session.examiner:Examiner.examined", "harness.execution.session.running:agreed"],
    "kept tensors": ["harness.report:Keeper.keep"],
    "tables": ["harness.report:of_run", "harness.report:write"],
    "page": ["harness.report.pages.index:text", "harness.report.pages.summary:text"],
}
"""The functions of each part, as MODULE:NAME."""

REST = "imports, threads, screen"


class Clock:
    """Processor seconds by part, in all threads."""

    def __init__(self) -> None:
        self.seconds = Counter[str]()
        self._guard = threading.Lock()
        self._inner = threading.local()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is timed."""

        def call(*args: Any, **named: Any) -> Any:
            outer, self._inner.seconds = getattr(self._inner, "seconds", 0.0), 0.0
            start = time.thread_time()
            try:
                return function(*args, **named)
            finally:
                whole = time.thread_time() - start
                with self._guard:
                    self.seconds[part] += whole - self._inner.seconds
                self._inner.seconds = outer + whole

        return call

    def watch(self) -> None:
        """Time the functions of every part from here on."""
        for part, functions in PARTS.items():
            for each in functions:
                module, _, name = each.partition(":")
                *within, last = name.split(".")
                owner = import_module(module)
                for inner in within:
                    owner = getattr(owner, inner)
                setattr(owner, last, self.timed(part, getattr(owner, last)))


def main() -> None:
    """Run the harness and write its cost."""
    out = Path(sys.argv[1])
    clock = Clock()
    clock.watch()
    from harness.cli import main as harness

    sys.argv = ["harness", *sys.argv[2:]]
    start, status = time.perf_counter(), 0
    try:
        harness()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    wall = time.perf_counter() - start
    own, workers = (
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    parts = {part: clock.seconds[part] for part in PARTS}
    parts[REST] = own - sum(parts.values())
    out.write_text(json.dumps({"status": status, "wall": wall, "own": own, "workers": workers, "parts": parts}))


if __name__ == "__main__":
    main()
