"""Cases side by side on this machine, in the harness's own worker processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from harness.case import ValidCase
from harness.comparison import Collect
from harness.execution.processes import AnswerCache, Asking, Workers
from harness.execution.session.executors.base import CaseExecutor, ExecutorFailed
from harness.execution.session.outcomes import CaseOutcome
from harness.execution.session.running import chosen_for, frameworks_for, questions_for, run_case
from harness.implementations import Implementation
from harness.system import processors

CASES_AT_ONCE = 4
"""Cases under way at a time for each job: enough to keep every framework busy, few enough for their arrays to fit in
memory."""

CASES_AHEAD = 16
"""Cases begun and not yet handed on, for each job: a long one holds up no other, and what is done does not pile up in
memory."""

PROCESSORS_FOR_A_JOB = 4
"""A process of each framework and the harness itself, which are not all busy at once."""


def begin(cache: AnswerCache, jobs: int | None, scheduler: str | None) -> Local:
    """Return the executor with processes of its own."""
    if scheduler is not None:
        raise ExecutorFailed("--scheduler is for --executor dask; local processes need none")
    return Local(Workers(cache, jobs=suitable_jobs() if jobs is None else jobs))


def suitable_jobs() -> int:
    """Return how many processes of each framework suit this machine."""
    return max(1, processors() // PROCESSORS_FOR_A_JOB)


class Local(CaseExecutor):
    """Cases side by side in worker processes.

    Args:
        workers: the processes.
    """

    name = "local"

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    @property
    def asking(self) -> Asking:
        """The processes."""
        return self._workers

    def outcomes(
        self,
        cases: Sequence[ValidCase],
        implementations: Sequence[Implementation],
        baseline: Implementation,
        collect: Collect = "failed",
    ) -> Iterator[CaseOutcome]:
        """Run cases side by side; yield their outcomes in the order of the cases."""
        workers, jobs = self._workers, self._workers.jobs
        workers.start(frameworks_for(cases, implementations, baseline))
        if jobs > 1:
            for framework, count in questions_for(cases, implementations, baseline):
                workers.expect(framework, count)
        calls = ThreadPoolExecutor(max_workers=4 * CASES_AT_ONCE * jobs, thread_name_prefix="call")
        runners = ThreadPoolExecutor(max_workers=CASES_AT_ONCE * jobs, thread_name_prefix="case")
        ahead: deque[Future[CaseOutcome]] = deque()
        try:
            for case in cases:
                if len(ahead) == CASES_AHEAD * jobs:
                    yield ahead.popleft().result()
                chosen = chosen_for(case, implementations, baseline)
                ahead.append(runners.submit(run_case, case, chosen, workers, calls, collect))
            while ahead:
                yield ahead.popleft().result()
        finally:
            runners.shutdown(wait=False, cancel_futures=True)
            calls.shutdown(wait=False, cancel_futures=True)

    def starting(self) -> list[str]:
        """Return the frameworks that are still being imported."""
        return self._workers.starting()

    def versions(self) -> dict[str, dict[str, str]]:
        """The versions of the modules of each framework that has answered."""
        return self._workers.versions()

    def seconds_to_import(self) -> dict[str, float]:
        """Return the import time of each framework's modules, in seconds."""
        return self._workers.seconds_to_import()

    def end(self) -> None:
        """End every process."""
        self._workers.end()
