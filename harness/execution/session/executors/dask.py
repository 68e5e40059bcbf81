"""Cases as tasks of Dask's distributed scheduler, on the workers that it has, here or on other machines.

The messages are those between the harness and its own processes: the arrays of a problem there, all answers to it
back. Each Dask worker has a ``Station`` with frameworks that stay warm from one case to the next. Problems are made,
answers are judged and kept here, so that the workers need no files, and a worker that is lost takes nothing with it:
Dask gives its cases to others.
"""

from __future__ import annotations

import logging
import signal
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future as LocalFuture
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import dask
from distributed import Client, Future, LocalCluster, WorkerPlugin, get_worker, wait
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker
from numpy import ndarray

from harness.case import ValidCase
from harness.comparison import Collect
from harness.execution.processes import AnswerCache, Asking, NativeWeightsFailed, WorkerFailed
from harness.execution.processes.exchanges import Exchange, FromCache, Lost, NotCached, Place, Replayed
from harness.execution.processes.fingerprint import differences, fingerprint
from harness.execution.processes.transport import Message, NotAMessage
from harness.execution.session.answers import Standard
from harness.execution.session.executors.base import CaseExecutor, ExecutorFailed
from harness.execution.session.executors.local import CASES_AT_ONCE, suitable_jobs
from harness.execution.session.outcomes import CaseOutcome
from harness.execution.session.running import (
    AtOnce,
    answered,
    chosen_for,
    frameworks_for,
    judge_case,
    questions_for,
    without_weights,
)
from harness.execution.session.station import Station, of_case, of_question, to_answers
from harness.implementations import Framework, Implementation
from harness.problem import Problem, build
from harness.result import Answer

AHEAD_OF_EACH_THREAD = 4
"""Cases sent and not yet handed on, for each thread of the cluster: no worker waits for this machine."""

FEWEST_AHEAD = 32
"""The same for a cluster that has only begun to grow: it grows by what waits."""

PATIENCE = 10.0
"""Seconds that a scheduler has to answer at all."""

LOOK_AGAIN_AFTER = 2.0
"""Seconds after which the size of the cluster is asked for anew."""

_INSTALL = "install the same versions there, or run the workers from the same environment or image as the harness"


def begin(cache: AnswerCache, jobs: int | None, scheduler: str | None) -> Distributed:
    """Return the executor, connected to a scheduler; without an address, to a cluster of its own on this machine."""
    address = scheduler or dask.config.get("scheduler-address", None)
    if address is None:
        workers = max(2, suitable_jobs()) if jobs is None else jobs
        cluster = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=CASES_AT_ONCE,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
        return Distributed(cache, Client(cluster), cluster)  # type: ignore[no-untyped-call]
    if jobs is not None:
        raise ExecutorFailed(f"--jobs is for processes that the harness starts; the scheduler at {address} has its own")
    try:
        return Distributed(cache, Client(address, timeout=PATIENCE), None)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ExecutorFailed(
            f"no Dask scheduler can be reached at {address}: {error}; `dask scheduler` starts one and prints its "
            "address for --scheduler or DASK_SCHEDULER_ADDRESS; with neither, workers are started on this machine"
        ) from None


@dataclass
class AtEachWorker(WorkerPlugin):
    """Gives each Dask worker, also one that comes later, its station.

    Attributes:
        name: its name among the plugins of a worker.
        expected: the fingerprint of the harness that asks.
        questions: about how many questions each framework will be asked.
        ours: whether the worker is a process that this run started, in its terminal.
    """

    name: str
    expected: Mapping[str, Any]
    questions: Mapping[str, int]
    ours: bool

    def setup(self, worker: Any) -> None:
        """Start the processes."""
        if self.ours:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the harness, which ends its workers itself
        threads = worker.state.nthreads
        self.station = Station(self.expected, self.questions, threads, max(1, threads // CASES_AT_ONCE))

    def teardown(self, worker: Any) -> None:
        """End them."""
        del worker
        self.station.close()


def answer_at_worker(plugin: str, request: bytes) -> bytes:
    """Answer a request where this runs. This is the task."""
    at_worker = get_worker().plugins[plugin]
    assert isinstance(at_worker, AtEachWorker)
    return at_worker.station.answer(request)


class Distributed(CaseExecutor):
    """Cases on the workers of a Dask cluster.

    Args:
        cache: the cache of answers.
        client: connected to the cluster's scheduler.
        cluster: to be ended with this; None if it is another's.
    """

    name = "dask"

    def __init__(self, cache: AnswerCache, client: Client, cluster: LocalCluster | None) -> None:
        self._cache = cache
        self._client = client
        self._cluster = cluster
        self._plugin = f"bptt-harness-{uuid.uuid4().hex[:12]}"
        self._ready = False
        self._threads = (0, 0.0)
        self._ended = False
        self._places: list[Mapping[str, str]] = []
        self._versions: dict[str, dict[str, str]] = {}
        self._seconds_to_import: dict[str, float] = {}
        self._machines: dict[str, Mapping[str, Any]] = {}
        self._cases = Counter[str]()

    @property
    def asking(self) -> Asking:
        """The cluster, one question at a time."""
        return _OneByOne(self)

    def outcomes(
        self,
        cases: Sequence[ValidCase],
        implementations: Sequence[Implementation],
        baseline: Implementation,
        collect: Collect = "failed",
    ) -> Iterator[CaseOutcome]:
        """Run cases on the cluster; yield their outcomes in the order of the cases."""
        self._prepare(cases, implementations, baseline)
        makers = ThreadPoolExecutor(max_workers=CASES_AT_ONCE, thread_name_prefix="case")
        ahead: Ahead = deque()
        try:
            for case in cases:
                if len(ahead) >= self._most_ahead():
                    chosen, made = ahead.popleft()
                    yield self._finished(chosen, made.result(), collect, ahead)
                chosen = chosen_for(case, implementations, baseline)
                ahead.append((chosen, makers.submit(self._made, case, chosen)))
            while ahead:
                chosen, made = ahead.popleft()
                yield self._finished(chosen, made.result(), collect, ahead)
        finally:
            makers.shutdown(wait=False, cancel_futures=True)

    def send(self, request: bytes) -> Future[bytes]:
        """Have a request answered by any worker."""
        return self._client.submit(answer_at_worker, self._plugin, request, pure=False)

    def cached(self) -> FromCache:
        """Return what answers without any worker, if it was answered before by one like those of the cluster."""
        return FromCache(self._cache, list(self._places))

    def replayed(self, exchanges: Sequence[Exchange], place: Place) -> Replayed:
        """Return an asker that replays received answers, and keeps them."""
        return Replayed(exchanges, place, self._cache)

    def received(self, future: Future[bytes]) -> tuple[list[Exchange], Place, str]:
        """Wait for an answer; return what it holds and what it came from.

        Raises:
            ExecutorFailed: if there will be none, or it comes from an unsuitable worker.
            KilledWorker: if too many workers were lost over it.
        """
        try:
            answer = future.result()
        except FutureCancelledError as error:
            raise ExecutorFailed(f"the Dask scheduler is gone: {error}") from None
        try:
            message, exchanges, place = to_answers(answer)
        except NotAMessage as error:
            raise ExecutorFailed(f"a Dask worker answered with something that is {error}") from None
        machine = self._known(message.header["fingerprint"], message.header.get("refused", ""))
        self._learn(place.versions, place.seconds_to_import)
        return exchanges, place, machine

    def starting(self) -> list[str]:
        """Return the Dask workers as long as there are none."""
        return [] if self._ready else ["Dask workers"]

    def versions(self) -> dict[str, dict[str, str]]:
        """The versions of the modules of each framework that has answered."""
        return dict(self._versions)

    def seconds_to_import(self) -> dict[str, float]:
        """Return the import time of each framework's modules on the first worker, in seconds."""
        return dict(self._seconds_to_import)

    def machines(self) -> list[Mapping[str, Any]]:
        """Return the machines that answered, each with its number of cases."""
        return [{**machine, "cases": self._cases[name]} for name, machine in sorted(self._machines.items())]

    def end(self) -> None:
        """End the frameworks' processes, and the cluster, if it is this run's own."""
        if self._ended:
            return
        self._ended = True
        if self._ready and self._cluster is None and self._client.status == "running":
            with suppress(OSError):  # the scheduler is gone, and with it what was to end
                self._client.unregister_worker_plugin(self._plugin)  # type: ignore[no-untyped-call]
        self._client.close()  # type: ignore[no-untyped-call]
        if self._cluster is not None:
            self._cluster.close()
        self._cache.close()

    def _prepare(
        self, cases: Sequence[ValidCase], implementations: Sequence[Implementation], baseline: Implementation
    ) -> None:
        """Give every worker a station; see that all are such as will do."""
        questions = {each.name: count for each, count in questions_for(cases, implementations, baseline)}
        started = {each.name for each in frameworks_for(cases, implementations, baseline)}
        self._client.wait_for_workers(1)
        expected = fingerprint({*questions, *started})
        there = self._client.run(fingerprint, list(expected["environments"]), on_error="return")
        for address, found in there.items():
            if isinstance(found, ImportError | AttributeError):
                raise ExecutorFailed(f"the Dask worker {address} has another bptt-harness or none: {found}; {_INSTALL}")
            if isinstance(found, BaseException):
                raise found
            self._known(found, "; ".join(differences(expected, found)), address)
        self._client.register_plugin(AtEachWorker(self._plugin, expected, questions, self._cluster is not None))
        self._ready = True

    def _known(self, found: Mapping[str, Any], refusal: str, address: str = "") -> str:
        """Remember what a worker runs on; return the words for it."""
        machine = found["machine"]
        if refusal:
            where = address or f"at {machine['host']}"
            raise ExecutorFailed(f"the Dask worker {where} cannot be used: {refusal}; {_INSTALL}")
        if found["environments"] not in self._places:
            self._places.append(found["environments"])
        described = "; ".join(machine.values())
        self._machines[described] = machine
        return described

    def _learn(self, versions: Mapping[str, Mapping[str, str]], seconds_to_import: Mapping[str, float]) -> None:
        self._versions |= {name: dict(each) for name, each in versions.items()}
        self._seconds_to_import = {**seconds_to_import, **self._seconds_to_import}

    def _most_ahead(self) -> int:
        """Return how many cases may be under way: by the cluster's size, which may change."""
        threads, when = self._threads
        if time.monotonic() - when > LOOK_AGAIN_AFTER:
            threads = sum(self._client.nthreads().values())  # type: ignore[no-untyped-call]
            self._threads = (threads, time.monotonic())
        return max(FEWEST_AHEAD, AHEAD_OF_EACH_THREAD * threads)

    def _made(self, case: ValidCase, chosen: Sequence[Implementation]) -> _Made | CaseOutcome:
        """Make a case's problem, and send it away, unless all answers are from_cache."""
        try:
            problem = build(case, self.asking.native_weights)
        except NativeWeightsFailed as failure:
            return without_weights(case, chosen, failure)
        from_cache = self.cached()
        try:
            answers = answered(problem, chosen, from_cache, AtOnce())
        except NotCached:
            return _Made(problem, self.send(of_case(problem, chosen)))
        for name, each in from_cache.cached.items():
            self._learn({name: each.versions}, {name: each.seconds_to_import})
        return _Made(problem, answers)

    def _finished(
        self, chosen: Sequence[Implementation], made: _Made | CaseOutcome, collect: Collect, ahead: Ahead
    ) -> CaseOutcome:
        """Wait for a case's answers, and judge them."""
        if isinstance(made, CaseOutcome):
            return made
        answers = made.answers
        if isinstance(answers, Future):
            try:
                asking = self._asking_of(answers)
            except KilledWorker:
                asking = self._alone(made.problem, chosen, ahead)
            answers = answered(made.problem, chosen, asking, AtOnce())
        return judge_case(made.problem, chosen, answers[0], answers[1], collect)

    def _asking_of(self, answers: Future[bytes]) -> Asking:
        """Wait for a case's answers. Raises KilledWorker if too many workers were lost over it."""
        exchanges, place, machine = self.received(answers)
        self._cases[machine] += 1
        return self.replayed(exchanges, place)

    def _alone(self, problem: Problem, chosen: Sequence[Implementation], ahead: Ahead) -> Asking:
        """Ask for a case again when nothing else is under way: whatever waits at a worker is blamed for its loss."""
        for _, others in ahead:
            made = others.result()
            if isinstance(made, _Made) and isinstance(made.answers, Future):
                wait(made.answers)  # type: ignore[no-untyped-call]
        try:
            return self._asking_of(self.send(of_case(problem, chosen)))
        except KilledWorker as killed:
            return Lost(_lost(killed))


@dataclass(frozen=True, eq=False)
class _Made:
    """A case's problem, and its answers or where they will be."""

    problem: Problem
    answers: tuple[Mapping[str, Answer], Standard | None] | Future[bytes]


Ahead = deque[tuple[list[Implementation], LocalFuture["_Made | CaseOutcome"]]]
"""Cases under way, each with its implementations."""


class _OneByOne(Asking):
    """Asks the cluster one question at a time."""

    def __init__(self, cluster: Distributed) -> None:
        self._cluster = cluster

    def ask(self, framework: Framework, header: Mapping[str, object], arrays: Mapping[str, ndarray]) -> Message:
        """Ask any worker, unless the answer is from_cache."""
        try:
            return self._cluster.cached().ask(framework, header, arrays)
        except NotCached:
            future = self._cluster.send(of_question(framework.name, header, arrays))
        try:
            exchanges, place, _ = self._cluster.received(future)
        except KilledWorker as killed:
            raise WorkerFailed(_lost(killed), "") from None
        return self._cluster.replayed(exchanges, place).ask(framework, header, arrays)


def _lost(killed: KilledWorker) -> str:
    times = killed.allowed_failures + 1
    return f"a Dask worker was lost while it worked on this, {times} times; the last was {killed.last_worker.address}"
