"""All worker processes of a run: one for each framework, started side by side and kept to the end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any, Self

from numpy import ndarray

from harness.floor import Floor
from harness.implementations import NUMPY, Framework, Implementation, initialisers, install_line, missing_modules
from harness.implementations.certified import FLINT
from harness.problem import Problem
from harness.result import Result
from harness.tensors import Structure
from harness.trial import Remark
from harness.worker.memory import Memory, Recalled
from harness.worker.messages import of_floor_request, of_problem, to_floor, to_results
from harness.worker.process import WorkerFailed, WorkerProcess
from harness.worker.transport import Message

MAX_TIMEOUTS = 3
"""How often a process may run out of time before it is given up for the rest of a run."""


@dataclass(frozen=True)
class Outcome:
    """What became of one implementation on one case.

    Attributes:
        status: ``ok``, ``unsupported`` or ``error``.
        result: the result, if the status is ``ok``, or if only a second call or a step of training ended in an error.
        reason: one line, if it is not.
        detail: the traceback, or the last lines of the process's standard error.
        second: the answer of a second call, if that is another.
        remarks: what is to be known before the numbers are looked at.
        said: what it printed.
    """

    status: str
    result: Result | None = None
    reason: str = ""
    detail: str = ""
    second: Result | None = None
    remarks: tuple[Remark, ...] = ()
    said: str = ""


class NativeWeightsFailed(Exception):
    """A framework's own initial weights could not be had; the text is the reason.

    Attributes:
        installed: whether the framework is there at all.
    """

    def __init__(self, reason: str, *, installed: bool) -> None:
        super().__init__(reason)
        self.installed = installed


class Workers:
    """The worker processes of a run. A context manager that ends them all.

    Args:
        memory: answers from before, and what is to be kept for later; None to ask anew whatever is asked.

    Attributes:
        recalled: how many questions needed no process.
    """

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory
        self.recalled = 0
        self._known: dict[str, Recalled] = {}
        self._processes: dict[str, WorkerProcess] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._failures: dict[str, list[WorkerFailed]] = {}
        self._guard = threading.Lock()
        self._ended = False

    def start(self, frameworks: Iterable[Framework]) -> None:
        """Begin to start the processes of these frameworks; return at once.

        Those whose answers are likely remembered wait for the first question that is new.
        """
        for framework in frameworks:
            if self._memory is not None and self._memory.knows(framework):
                continue
            threading.Thread(target=self._wait, args=(framework,), daemon=True).start()

    def starting(self) -> list[str]:
        """The frameworks that are still being imported."""
        return [name for name, process in list(self._processes.items()) if process.seconds_to_import is None]

    def versions(self) -> dict[str, dict[str, str]]:
        """The versions of the modules of each framework that is ready, or whose answers were remembered."""
        ready = {name: process.versions for name, process in self._processes.items() if process.versions}
        return {name: dict(each.versions) for name, each in self._known.items()} | ready

    def seconds_to_import(self) -> dict[str, float]:
        """How long the modules of each framework that is ready took to import, now or when it was asked."""
        ready = {name: process.seconds_to_import for name, process in self._processes.items()}
        known = {name: each.seconds_to_import for name, each in self._known.items()}
        return known | {name: seconds for name, seconds in ready.items() if seconds is not None}

    def run(self, implementation: Implementation, problem: Problem) -> Outcome:
        """Run an implementation in its framework's process. Never raises on the implementation's account."""
        if reason := implementation.reason_against(problem.case):
            return Outcome("unsupported", reason=reason)
        framework = implementation.framework
        if missing := missing_modules(framework):
            return Outcome("unsupported", reason=f"{missing[0]} is not installed; {install_line(framework)}")
        header, arrays = of_problem(problem)
        try:
            answer = self._ask(framework, {"do": "run", "implementation": implementation.name, **header}, arrays)
        except WorkerFailed as failure:
            return Outcome("error", reason=failure.reason, detail=failure.detail, said=failure.said)
        found = answer.header
        result, second = to_results(answer)
        return Outcome(
            found["status"],
            result,
            found.get("reason", ""),
            found.get("detail", ""),
            second,
            tuple(Remark(*each) for each in found.get("remarks", ())),
            found["said"],
        )

    def introduction(self, framework: Framework) -> Mapping[str, Any]:
        """Wait for a framework's process; return what it said when it was ready.

        Raises:
            WorkerFailed: if it does not get there.
        """
        with self._lock(framework):
            process = self._process(framework)
            process.wait_until_ready()
            return process.introduction

    def rounding_noise(self, problem: Problem) -> dict[str, float]:
        """Measure how far rounding alone moves each tensor, those of training included.

        Empty if the reference cannot run the problem.
        """
        header, arrays = of_problem(problem)
        try:
            answer = self._ask(NUMPY, {"do": "rounding_noise", **header}, arrays)
        except WorkerFailed:
            return {}
        return dict(answer.header.get("noise", {}))

    def floor(self, problem: Problem, baseline: Mapping[str, ndarray]) -> Floor:
        """Measure how far the baseline's tensors are off, against the best answers that can be had.

        Never raises: where there are no better answers, the floor has no source and says why.
        """
        header, arrays = of_floor_request(problem, baseline)
        reasons = []
        for framework, way in ((FLINT, "from_balls"), (NUMPY, "from_wider_numbers")):
            if missing := missing_modules(framework):
                reasons.append(f"{missing[0]} is not installed; {install_line(framework)}")
                continue
            try:
                answer = self._ask(framework, {"do": "floor", "way": way, **header}, arrays)
            except WorkerFailed as failure:
                reasons.append(failure.reason)
                continue
            if answer.header["status"] == "ok":
                return replace(to_floor(answer), reason="; ".join(reasons))
            reasons.append(answer.header["reason"])
        return Floor(reason="; ".join(reasons))

    def native_weights(self, framework: str, seed: int, structure: Structure, dtype: str) -> Mapping[str, ndarray]:
        """Return a framework's own initial weights, in the split layout.

        Raises:
            NativeWeightsFailed: if they cannot be had.
        """
        of_framework = initialisers()[framework].framework
        if missing := missing_modules(of_framework):
            raise NativeWeightsFailed(f"{missing[0]} is not installed; {install_line(of_framework)}", installed=False)
        header = {
            "do": "initial_weights",
            "framework": framework,
            "seed": seed,
            "structure": asdict(structure),
            "dtype": dtype,
        }
        try:
            answer = self._ask(of_framework, header, {})
        except WorkerFailed as failure:
            raise NativeWeightsFailed(failure.reason, installed=True) from None
        if answer.header["status"] != "ok":
            raise NativeWeightsFailed(answer.header["reason"], installed=True)
        return answer.arrays

    def _ask(self, framework: Framework, header: Mapping[str, object], arrays: Mapping[str, ndarray]) -> Message:
        """Ask a framework's process, unless it was asked before; keep what it answers."""
        if self._memory is None or not (key := self._memory.key(framework, header, arrays)):
            return self._ask_process(framework, header, arrays)[0]
        if (recalled := self._memory.recall(key)) is not None:
            with self._guard:
                self.recalled += 1
                self._known[framework.name] = recalled
            return recalled.answer
        answer, process = self._ask_process(framework, header, arrays)
        assert process.seconds_to_import is not None, "it has answered"
        self._memory.trace(framework)
        self._memory.keep(key, Recalled(answer, process.versions, process.seconds_to_import))
        return answer

    def _ask_process(
        self, framework: Framework, header: Mapping[str, object], arrays: Mapping[str, ndarray]
    ) -> tuple[Message, WorkerProcess]:
        """Ask a framework's process, one request at a time; a process that failed is started again for the next."""
        failures = self._failures.setdefault(framework.name, [])
        with self._lock(framework):
            timeouts = sum(each.timed_out for each in failures)
            if len(failures) > framework.restarts or timeouts >= MAX_TIMEOUTS:
                last = failures[-1]
                raise WorkerFailed(
                    f"{last.reason}; it failed {len(failures)} times and is not started again", last.detail
                )
            process = self._process(framework)
            try:
                return process.ask(header, arrays, limit=framework.limit), process
            except WorkerFailed as failure:
                failures.append(failure)
                with self._guard:
                    self._processes.pop(framework.name, None)
                raise

    def _wait(self, framework: Framework) -> None:
        with self._lock(framework), contextlib.suppress(WorkerFailed):  # the first request will be told
            self._process(framework).wait_until_ready()

    def _lock(self, framework: Framework) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(framework.name, threading.Lock())

    def _process(self, framework: Framework) -> WorkerProcess:
        with self._guard:
            if self._ended:
                raise WorkerFailed("the run was ended", "")
            if framework.name not in self._processes:
                self._processes[framework.name] = WorkerProcess(framework)
            return self._processes[framework.name]

    def end(self) -> None:
        """End every process now, and with it whatever is still asked of it."""
        with self._guard:
            self._ended = True
            processes = dict(self._processes)
        for process in processes.values():
            process.kill()
        for name, process in processes.items():
            with self._locks[name]:  # whoever waits for an answer has just seen its process end
                process.close()
        if self._memory is not None:
            self._memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
