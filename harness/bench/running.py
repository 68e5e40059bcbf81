"""The run: every contestant agrees with the reference on a problem first, and then all are timed in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy import ndarray

from harness.bench.contestants import Contestant
from harness.bench.points import Point
from harness.bench.process import PRODUCT, PRODUCT_SIZE
from harness.comparison import ComparisonPolicy, compare
from harness.execution.processes import WorkerFailed
from harness.execution.processes.messages import of_problem, to_results
from harness.execution.processes.process import WorkerProcess
from harness.execution.processes.transport import Message
from harness.implementations import NUMPY, Framework
from harness.precision.rounding_noise import rounding_noise
from harness.problem import Problem, build
from harness.problem.reference import solve
from harness.result import Result, read

LEAST_ROUNDS = 3
MOST_ROUNDS = 12
BLOCK = 0.1
"""Seconds that a contestant has at a stretch, and in which it runs once at least."""

MOST = 200
"""Runs at a stretch."""

THREADS = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")


@dataclass(frozen=True, eq=False)
class Figures:
    """What became of one contestant at one point.

    Attributes:
        point: the problem.
        contestant: its name.
        framework: the name of its framework.
        status: ``ok``; ``mismatch`` if it does not agree with the reference, and was not timed; ``unsupported`` or
            ``error``.
        reason: why it is not ok; one line.
        seconds: of each run, (N,).
        processor_seconds: of each run, of all processors together, (N,).
        first_seconds: of the first run, with all that is done once.
    """

    point: Point
    contestant: str
    framework: str
    status: str
    reason: str = ""
    seconds: ndarray = field(default_factory=lambda: np.empty(0))
    processor_seconds: ndarray = field(default_factory=lambda: np.empty(0))
    first_seconds: float = 0.0

    def median(self, *, of_processors: bool = False) -> float:
        """Return the median run in seconds, on the clock or of all processors; there must have been one."""
        return float(np.median(self.processor_seconds if of_processors else self.seconds))


@dataclass(frozen=True, eq=False)
class Bench:
    """A run over the grid.

    Attributes:
        figures: of each point in turn, of each contestant.
        peaks: for each point, the additions and multiplications a second of the measured matrix product in the point's
            dtype, of its median run: by the clock, and by the time of all processors.
        threads: how many each process had.
        versions: of each framework's modules.
    """

    figures: tuple[Figures, ...]
    peaks: Mapping[Point, tuple[float, float]]
    threads: int
    versions: Mapping[str, Mapping[str, str]]


def bench(
    points: Sequence[Point],
    contestants: Sequence[Contestant],
    *,
    threads: int,
    seconds: float,
    told: Callable[[Bench], None] = lambda _: None,
) -> Bench:
    """Time contestants at points.

    Args:
        points: the problems.
        contestants: who takes part; the modules of their frameworks must be there.
        threads: how many threads each process may use.
        seconds: how long new rounds of one point may begin, all contestants together; there are three at least.
        told: is given what there is so far, after each point.
    """
    found: list[Figures] = []
    peaks: dict[Point, tuple[float, float]] = {}
    with _Processes([*(each.framework for each in contestants), NUMPY], threads) as processes:
        for point in points:
            figures, peaks[point] = _at(point, contestants, processes, seconds)
            found += figures
            told(Bench(tuple(found), dict(peaks), threads, processes.versions))
        return Bench(tuple(found), peaks, threads, processes.versions)


class _Processes:
    """One process for each framework; one that ended is started again when it is asked for the next problem."""

    def __init__(self, frameworks: Sequence[Framework], threads: int) -> None:
        self._frameworks = {each.name: limited(each, threads) for each in frameworks}
        self._started = {name: WorkerProcess(each) for name, each in self._frameworks.items()}
        self.versions: dict[str, Mapping[str, str]] = {}

    def ask(self, framework: str, header: Mapping[str, Any], arrays: Mapping[str, ndarray] | None = None) -> Message:
        """Ask the process of a framework.

        Raises:
            WorkerFailed: if it ends or does not answer in time.
        """
        if framework not in self._started:
            self._started[framework] = WorkerProcess(self._frameworks[framework])
        process = self._started[framework]
        try:
            answer = process.ask(header, arrays or {}, limit=process.framework.limit)
        except WorkerFailed:
            del self._started[framework]  # it has closed itself
            raise
        self.versions[framework] = process.versions
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._started.values():
            process.close()


def limited(framework: Framework, threads: int) -> Framework:
    """Return a framework whose process is the one of this package and computes with so many threads.

    Libraries read the number from the environment when they are loaded; torch and TensorFlow are told once more. JAX
    has no setting but NPROC, which its pool of threads is made by.
    """
    named = {f"{name}_THREADS" if "_" in name else f"{name}_NUM_THREADS": str(threads) for name in THREADS}
    return replace(
        framework,
        program=("-m", "harness.bench.process", framework.name, str(threads)),
        environment={**framework.environment, **named, "NPROC": str(threads), **_of_xla(threads)},
    )


def _of_xla(threads: int) -> dict[str, str]:
    return {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"} if threads == 1 else {}


def _at(
    point: Point, contestants: Sequence[Contestant], processes: _Processes, seconds: float
) -> tuple[list[Figures], tuple[float, float]]:
    reference = Reference(build(point.case, _no_weights))
    figures = {each.name: _agreed(each, point, reference, processes) for each in contestants}
    processes.ask(NUMPY.name, {"do": "prepare_product", "dtype": point.dtype})
    ready = {each.name: each.framework.name for each in contestants if figures[each.name].status == "ok"}
    turns = [*ready.items(), (PRODUCT, NUMPY.name)]
    taken: dict[str, list[ndarray]] = {name: [] for name, _ in turns}
    end = time.monotonic() + seconds
    for turn in range(MOST_ROUNDS):
        if turn >= LEAST_ROUNDS and time.monotonic() > end:
            break
        start = turn % len(turns)
        for name, framework in turns[start:] + turns[:start]:
            if name in figures and figures[name].status != "ok":
                continue
            try:
                taken[name].append(_timed(name, framework, processes))  # (n, 2)
            except WorkerFailed as failure:
                if name == PRODUCT:
                    raise
                figures[name] = replace(figures[name], status="error", reason=failure.reason)
    for framework in {framework for _, framework in turns}:
        processes.ask(framework, {"do": "forget"})
    for name in ready:
        if figures[name].status == "ok":
            runs = np.concatenate(taken[name])  # (N, 2)
            figures[name] = replace(figures[name], seconds=runs[:, 0], processor_seconds=runs[:, 1])
    on_clock, of_processors = (float(each) for each in np.median(np.concatenate(taken[PRODUCT]), axis=0))
    operations = 2 * PRODUCT_SIZE**3
    return list(figures.values()), (operations / on_clock, operations / of_processors)


def _timed(name: str, framework: str, processes: _Processes) -> ndarray:
    """Let a contestant run for a while; return seconds on the clock and of all processors for each run, (n, 2).

    Raises:
        WorkerFailed: if it fails after it has agreed.
    """
    answer = processes.ask(framework, {"do": "time", "contestant": name, "seconds": BLOCK, "most": MOST})
    if answer.header["status"] != "ok":
        raise WorkerFailed(answer.header["reason"], answer.header.get("detail", ""))
    return answer.arrays["seconds"]


def _agreed(contestant: Contestant, point: Point, reference: Reference, processes: _Processes) -> Figures:
    """Let a contestant prepare and answer; it is ok only if the answer is the reference's."""
    header, arrays = of_problem(reference.problem)
    blank = Figures(point, contestant.name, contestant.framework.name, "error")
    request = {"do": "prepare", "contestant": contestant.name, **header}
    try:
        answer = processes.ask(contestant.framework.name, request, arrays)
    except WorkerFailed as failure:
        return replace(blank, reason=failure.reason)
    if answer.header["status"] != "ok":
        return replace(blank, status=answer.header["status"], reason=answer.header["reason"])
    result, _ = to_results(answer)
    assert result is not None, "it is ok"
    if reason := reference.disagreement(result):
        return replace(blank, status="mismatch", reason=reason)
    return replace(blank, status="ok", first_seconds=result.seconds)


class Reference:
    """The reference's answer to a problem, which others are held against.

    Args:
        problem: in the split layout.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.expected = replace(read(solve(problem), "split", problem, 0.0), loss=None)

    @cached_property
    def noise(self) -> dict[str, float]:
        """How far rounding alone moves each tensor; measuring it takes several times as long as the problem."""
        return rounding_noise(self.problem)

    def disagreement(self, result: Result) -> str:
        """Say in one line where a result is not the reference's within the harness's tolerances; empty if it is.

        Measured rounding noise only ever widens a tolerance, so it is asked for where one is too narrow without it.
        """
        comparison = compare(result, self.expected)
        if not comparison.matches:
            comparison = compare(result, self.expected, ComparisonPolicy(noise=self.noise))
        return "" if comparison.matches else str(comparison.disagreements[0])


def _no_weights(*_: Any) -> Mapping[str, ndarray]:
    raise ValueError("a point's weights come from no framework")
