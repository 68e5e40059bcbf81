"""The processes of one framework: one, and more where there is enough left to do to pay for starting them.

Which of them answers a question makes no difference to the answer.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from numpy import ndarray

from harness.execution.processes.launching import Launch
from harness.execution.processes.process import WorkerFailed, WorkerProcess
from harness.execution.processes.transport import Message
from harness.implementations import Framework

MAX_TIMEOUTS = 3
"""Maximum number of timeouts of a framework's processes before it is given up for the rest of a run."""


class Crew:
    """The processes of one framework, each asked one question at a time.

    Args:
        framework: theirs.
        most: how many there may be.
        launch: the first of them, if the system has started it already.
    """

    def __init__(self, framework: Framework, most: int = 1, launch: Launch | None = None) -> None:
        self.framework = framework
        self.most = most
        self._launch = launch
        self._to_come = 0
        self._answered = 0
        self._seconds = 0.0
        self._processes: list[WorkerProcess] = []
        self._idle: list[WorkerProcess] = []
        self._failures: list[WorkerFailed] = []
        self._changed = threading.Condition()
        self._ended = False

    @property
    def processes(self) -> list[WorkerProcess]:
        """Those that are there, the longest serving first."""
        with self._changed:
            return list(self._processes)

    def expect(self, questions: int) -> None:
        """Know of more questions to come, or, with a negative number, of fewer."""
        with self._changed:
            self._to_come += questions

    def introduced(self) -> WorkerProcess:
        """Wait for the first process to be ready, and return it; start it if it is not there.

        Raises:
            WorkerFailed: if it does not get there.
        """
        process = self._taken(self._first)
        try:
            process.wait_until_ready()
        finally:
            self._let_go(process)
        return process

    def ask(self, header: Mapping[str, Any], arrays: Mapping[str, ndarray]) -> tuple[Message, WorkerProcess]:
        """Ask one of the processes; one that failed is started again for the next question.

        Raises:
            WorkerFailed: if it fails, or they failed too often before.
        """
        process = self._taken(self._next)
        try:
            process.wait_until_ready()
            start = time.perf_counter()
            answer = process.ask(header, arrays, limit=self.framework.limit)
        except WorkerFailed as failure:
            with self._changed:
                self._failures.append(failure)
            self._given_up(process)
            raise
        except BaseException:  # the answer to this question must not be taken for that to the next
            process.close()
            self._given_up(process)
            raise
        self._let_go(process, time.perf_counter() - start)
        return answer, process

    def kill(self) -> None:
        """End every process now, and with it whatever is asked of it; start none from here on."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            for process in self._processes:
                process.kill()

    def close(self) -> None:
        """Let go of processes that were killed."""
        with self._changed:
            if self._launch is not None:  # nothing was ever asked of it
                self._launch.end()
                self._launch = None
            # A thread that waits for an answer has just seen its process end.
            self._changed.wait_for(lambda: len(self._idle) == len(self._processes))
            for process in self._processes:
                process.close()

    def _next(self) -> WorkerProcess | None:
        timeouts = sum(each.timed_out for each in self._failures)
        if len(self._failures) > self.framework.restarts or timeouts >= MAX_TIMEOUTS:
            last = self._failures[-1]
            again = f"it failed {len(self._failures)} times and is not started again"
            raise WorkerFailed(f"{last.reason}; {again}", last.detail)
        if self._idle:
            return self._idle.pop()
        if not self._processes or (len(self._processes) < self.most and self._another_pays()):
            return self._started()
        return None

    def _first(self) -> WorkerProcess | None:
        if not self._processes:
            return self._started()
        if self._processes[0] not in self._idle:
            return None
        self._idle.remove(self._processes[0])
        return self._processes[0]

    def _another_pays(self) -> bool:
        """Return whether the remaining work takes the present processes longer than a new one takes to start."""
        to_start = max((each.seconds_to_start or 0.0 for each in self._processes), default=0.0)
        if not self._answered or not to_start:
            return False
        left = (self._to_come - self._answered) * self._seconds / self._answered
        return left / len(self._processes) > to_start

    def _started(self) -> WorkerProcess:
        launch, self._launch = self._launch, None
        process = WorkerProcess(self.framework, launch)
        self._processes.append(process)
        return process

    def _taken(self, choose: Callable[[], WorkerProcess | None]) -> WorkerProcess:
        """Return an idle process, as soon as there is one."""
        with self._changed:
            while True:
                if self._ended:
                    raise WorkerFailed("the run was ended", "")
                if (process := choose()) is not None:
                    return process
                self._changed.wait()

    def _given_up(self, process: WorkerProcess) -> None:
        with self._changed:
            self._processes.remove(process)
            self._changed.notify_all()

    def _let_go(self, process: WorkerProcess, seconds: float | None = None) -> None:
        with self._changed:
            if seconds is not None:
                self._answered += 1
                self._seconds += seconds
            self._idle.append(process)
            self._changed.notify_all()


def wait_quietly(crew: Crew) -> None:
    """Wait for a crew's first process; if it fails, the first question raises the error."""
    with contextlib.suppress(WorkerFailed):
        crew.introduced()
