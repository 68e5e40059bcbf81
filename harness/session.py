"""A run: cases through implementations, each compared with the baseline."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

from harness import tolerance as tolerances
from harness.case import Case
from harness.comparison import SEVERITY, Collect, Comparison, Verdict, compare
from harness.implementations import Framework, Implementation, initialisers, install_line, missing_modules
from harness.problem import Problem, build
from harness.result import Result
from harness.tensors import Shape
from harness.tolerance import Bound
from harness.worker import NativeWeightsFailed, Outcome, Workers

DEFAULT_BASELINE = "numpy-split"
CASES_AT_ONCE = 4
"""Cases under way at a time: enough to keep every framework busy, few enough for their arrays to fit in memory."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One implementation on one case.

    Attributes:
        implementation: its name.
        status: of the implementation itself: ``ok``, ``unsupported`` or ``error``.
        verdict: on the comparison with the baseline; None for the baseline itself.
        reason: why, if there is no comparison.
        detail: the traceback, or the last lines of the process's standard error.
        comparison: None if there is nothing to compare.
        loss: the loss it found.
        seconds: how long it took.
    """

    implementation: str
    status: str
    verdict: Verdict | None
    reason: str = ""
    detail: str = ""
    comparison: Comparison | None = None
    loss: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class CaseOutcome:
    """One case, done.

    Attributes:
        case: the case.
        baseline: the name of the baseline.
        judged: every implementation that was asked, the baseline included.
        bounds: the tolerance of each tensor.
    """

    case: Case
    baseline: str
    judged: tuple[Judged, ...]
    bounds: Mapping[str, Bound] = field(default_factory=dict)

    @property
    def tensors(self) -> dict[str, Shape]:
        """The shape of every tensor that is compared."""
        structure = self.case.structure
        return {"loss": (), "outputs": structure.outputs, **structure.gradients}

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdict on every implementation but the baseline."""
        return [each.verdict for each in self.judged if each.verdict is not None]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict; ``unsupported`` where nothing was compared."""
        return max(self.verdicts, key=SEVERITY.index, default="unsupported")

    @property
    def as_expected(self) -> bool:
        """Whether the case came out as its file says: a match, or the mismatch that it documents."""
        if self.verdict == "unsupported":
            return True
        return self.verdict == self.case.expect

    @property
    def surprise(self) -> str:
        """What came out otherwise than the file says, in words; empty if nothing did."""
        if self.as_expected:
            return ""
        if self.case.expect == "mismatch" and self.verdict == "match":
            return f"expected a mismatch, because {self.case.because}, but everything matches"
        return f"expected {self.case.expect}, found {self.verdict}"


def chosen_for(case: Case, implementations: Sequence[Implementation], baseline: Implementation) -> list[Implementation]:
    """Return the implementations that a case is for, the baseline first."""
    named = case.implementations
    others = [each for each in implementations if each.name != baseline.name and (named is None or each.name in named)]
    return [baseline, *others]


def frameworks_for(
    cases: Sequence[Case], implementations: Sequence[Implementation], baseline: Implementation
) -> list[Framework]:
    """Return the frameworks that will be needed and are installed, the slowest to start first."""
    needed: dict[str, Framework] = {}
    for case in cases:
        for each in chosen_for(case, implementations, baseline):
            if each.framework.name not in needed and not each.reason_against(case):
                needed[each.framework.name] = each.framework
        if isinstance(case.weights, dict) and "from" in case.weights:
            framework = initialisers()[case.weights["from"]].framework
            needed[framework.name] = framework
    installed = [framework for framework in needed.values() if not missing_modules(framework)]
    return sorted(installed, key=lambda framework: -len(framework.modules))


def run_cases(
    cases: Sequence[Case],
    implementations: Sequence[Implementation],
    baseline: Implementation,
    workers: Workers,
    collect: Collect = "failed",
) -> Iterator[CaseOutcome]:
    """Run cases side by side; yield their outcomes in the order of the cases.

    Args:
        cases: what to run.
        implementations: which implementations to run them with, where the case does not name fewer.
        baseline: the one the others are compared with.
        workers: the processes to run them in.
        collect: which elements to keep one by one.
    """
    workers.start(frameworks_for(cases, implementations, baseline))
    calls = ThreadPoolExecutor(max_workers=4 * CASES_AT_ONCE, thread_name_prefix="call")
    runners = ThreadPoolExecutor(max_workers=CASES_AT_ONCE, thread_name_prefix="case")
    try:
        pending = [
            runners.submit(run_case, case, chosen_for(case, implementations, baseline), workers, calls, collect)
            for case in cases
        ]
        for position, future in enumerate(pending):
            yield future.result()
            pending[position] = None  # type: ignore[call-overload]  # its elements may be large
    finally:
        runners.shutdown(wait=False, cancel_futures=True)
        calls.shutdown(wait=False, cancel_futures=True)


def run_case(
    case: Case, implementations: Sequence[Implementation], workers: Workers, calls: Executor, collect: Collect
) -> CaseOutcome:
    """Run one case with each implementation, of which the first is the baseline, and compare."""
    baseline, *others = implementations
    try:
        problem = build(case, workers.native_weights)
    except NativeWeightsFailed as failure:
        status: Verdict = "error" if failure.installed else "unsupported"
        reason = f"there are no weights to run with: {failure}"
        first = Judged(baseline.name, status, None, reason)
        return CaseOutcome(case, baseline.name, (first, *(Judged(o.name, status, status, reason) for o in others)))
    noise_found = calls.submit(workers.rounding_noise, problem)
    futures = [calls.submit(workers.run, each, problem) for each in implementations]
    outcomes = {each.name: future.result() for each, future in zip(implementations, futures, strict=True)}
    noise = noise_found.result()
    of_baseline = outcomes[baseline.name]
    judged = [_without_verdict(baseline.name, of_baseline)]
    judged += [_judged(each, outcomes[each.name], baseline, of_baseline, problem, noise, collect) for each in others]
    bounds = {} if of_baseline.result is None else bounds_of(problem, of_baseline.result, noise)
    return CaseOutcome(case, baseline.name, tuple(judged), bounds)


def bounds_of(problem: Problem, expected: Result, noise: Mapping[str, float]) -> dict[str, Bound]:
    """Return the tolerance in force for each tensor of a problem."""
    override = problem.case.tolerance
    return {
        name: tolerances.bound(name, tensor, override, noise=noise.get(name))
        for name, tensor in expected.tensors.items()
    }


def compare_for(
    problem: Problem,
    actual: Result,
    expected: Result,
    noise: Mapping[str, float],
    *,
    complete: bool,
    collect: Collect = "failed",
) -> Comparison:
    """Compare two results of a problem, with the tolerances and the policy of its case."""
    return compare(
        actual,
        expected,
        tolerance=problem.case.tolerance,
        noise=noise,
        nonfinite=problem.case.nonfinite,
        complete=complete,
        collect=collect,
    )


def _judged(
    implementation: Implementation,
    outcome: Outcome,
    baseline: Implementation,
    of_baseline: Outcome,
    problem: Problem,
    noise: Mapping[str, float],
    collect: Collect,
) -> Judged:
    own = _without_verdict(implementation.name, outcome)
    if outcome.result is None:
        verdict: Verdict = "unsupported" if outcome.status == "unsupported" else "error"
        return _with(own, verdict, outcome.reason)
    if of_baseline.result is None:
        verdict = "unsupported" if of_baseline.status == "unsupported" else "error"
        return _with(own, verdict, f"there is no baseline: {baseline.name}: {of_baseline.reason}")
    comparison = compare_for(
        problem, outcome.result, of_baseline.result, noise, complete=implementation.complete, collect=collect
    )
    return _with(own, comparison.verdict, "", comparison)


def _without_verdict(name: str, outcome: Outcome) -> Judged:
    loss = seconds = None
    if outcome.result is not None:
        seconds = outcome.result.seconds
        if outcome.result.loss is not None and outcome.result.loss.shape == ():
            loss = float(outcome.result.loss)
    return Judged(name, outcome.status, None, outcome.reason, outcome.detail, None, loss, seconds)


def _with(own: Judged, verdict: Verdict, reason: str, comparison: Comparison | None = None) -> Judged:
    return Judged(own.implementation, own.status, verdict, reason, own.detail, comparison, own.loss, own.seconds)


@dataclass
class Run:
    """A whole run, as reports tell of it.

    Attributes:
        baseline: the name of the baseline.
        implementations: the names of all that were asked.
        outcomes: one for each case, in order.
        versions: the versions of each framework's modules.
        seconds_to_import: how long each framework took to import.
        seconds: how long the run took.
    """

    baseline: str
    implementations: tuple[str, ...]
    outcomes: list[CaseOutcome] = field(default_factory=list)
    versions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    seconds_to_import: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def comparisons(self) -> Iterator[tuple[CaseOutcome, Judged]]:
        """Every pair of a case and an implementation that is not its baseline."""
        return ((outcome, each) for outcome in self.outcomes for each in outcome.judged if each.verdict is not None)

    @property
    def surprises(self) -> list[CaseOutcome]:
        """The cases that did not come out as their files say."""
        return [outcome for outcome in self.outcomes if not outcome.as_expected]

    @property
    def tensors_compared(self) -> int:
        """How many tensors were held against the baseline's."""
        return sum(len(each.comparison.tensors) for _, each in self.comparisons if each.comparison)

    @property
    def elements_compared(self) -> int:
        """How many elements were held against the baseline's."""
        return sum(each.comparison.elements for _, each in self.comparisons if each.comparison)

    @property
    def failed_implementations(self) -> list[tuple[CaseOutcome, Judged]]:
        """The implementations that ended in an error, the baseline included, or were judged ``error``."""
        return [
            (outcome, each)
            for outcome in self.outcomes
            for each in outcome.judged
            if "error" in (each.status, each.verdict)
        ]


def execute(
    cases: Sequence[Case],
    implementations: Sequence[Implementation],
    baseline: Implementation,
    workers: Workers,
    collect: Collect = "failed",
) -> Iterator[Run]:
    """Run cases; yield the run, growing by an outcome at a time, and once more when it is complete."""
    start = time.perf_counter()
    run = Run(baseline.name, tuple(dict.fromkeys([baseline.name, *(each.name for each in implementations)])))
    yield run
    for outcome in run_cases(cases, implementations, baseline, workers, collect):
        run.outcomes.append(outcome)
        yield run
    run.versions, run.seconds_to_import = workers.versions(), workers.seconds_to_import()
    run.seconds = time.perf_counter() - start
    yield run


def not_installed(implementations: Sequence[Implementation]) -> list[str]:
    """Return a line with the command to type for each implementation whose framework is missing."""
    return [
        f"{each.name} needs {missing[0]}, which is not installed; {install_line(each.framework)}"
        for each in implementations
        if (missing := missing_modules(each.framework))
    ]
