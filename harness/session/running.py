"""Running cases: each through its implementations side by side, each implementation compared with the baseline."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace

from harness import tolerance as tolerances
from harness.case import Case
from harness.comparison import Collect, Verdict
from harness.implementations import Framework, Implementation, initialisers, install_line, missing_modules
from harness.problem import Problem, build
from harness.result import Result
from harness.session.answers import judge_answers
from harness.session.examiner import Examiner, agreed
from harness.session.floors import Floors, remarked
from harness.session.floors import judged as judged_floor
from harness.session.oracle import side
from harness.session.outcomes import CaseOutcome, Evidence, Judged, Run
from harness.tolerance import Bound
from harness.worker import NativeWeightsFailed, Outcome, Workers

DEFAULT_BASELINE = "numpy-split"
CASES_AT_ONCE = 4
"""Cases under way at a time: enough to keep every framework busy, few enough for their arrays to fit in memory."""

CASES_AHEAD = 16
"""Cases begun and not yet handed on: a long one holds up no other, and what is done does not pile up in memory."""


def chosen_for(case: Case, implementations: Sequence[Implementation], baseline: Implementation) -> list[Implementation]:
    """Return the implementations that a case is for, the baseline first."""
    others = [each for each in implementations if each.name != baseline.name and each.takes_part_in(case)]
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
    ahead: deque[Future[CaseOutcome]] = deque()
    try:
        for case in cases:
            if len(ahead) == CASES_AHEAD:
                yield ahead.popleft().result()
            chosen = chosen_for(case, implementations, baseline)
            ahead.append(runners.submit(run_case, case, chosen, workers, calls, collect))
        while ahead:
            yield ahead.popleft().result()
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
    of_baseline = futures[0].result()
    expected = of_baseline.result
    floor_found = None if expected is None else calls.submit(workers.floor, problem, expected.tensors)
    outcomes = {each.name: future.result() for each, future in zip(implementations, futures, strict=True)}
    noise, floors = noise_found.result(), Floors()
    if expected is not None and floor_found is not None:
        floors, noise = judged_floor(floor_found.result(), problem, expected, noise)
    results = {name: each.result for name, each in outcomes.items() if each.result is not None}
    judged, wrong = [_without_verdict(baseline.name, of_baseline)], dict[str, Result]()
    oracle = next((each for each in others if each.is_oracle and each.name in results), None)
    for each in others:
        own, answer = _judged(each, outcomes[each.name], baseline, of_baseline, problem, noise, collect)
        own = replace(own, complete=each.complete)
        if oracle is not None and own.verdict == "mismatch":
            assert own.comparison is not None
            told = side(each.name, own.comparison, oracle.name, baseline.name, results, problem, noise)
            own = replace(own, oracle=told)
        if own.comparison is not None:
            own = replace(own, comparison=remarked(own.comparison, floors))
        judged.append(own)
        if answer is not None and own.can_be_explained:
            wrong[own.implementation] = answer
    bounds = {} if expected is None else bounds_of(problem, expected, noise)
    evidence = Evidence(problem, noise, results | wrong, oracle.name if oracle is not None else "", tuple(wrong))
    return CaseOutcome(case, baseline.name, tuple(judged), bounds, floors, evidence)


def bounds_of(problem: Problem, expected: Result, noise: Mapping[str, float]) -> dict[str, Bound]:
    """Return the tolerance in force for each tensor of a problem."""
    override = problem.case.tolerance
    return {
        name: tolerances.bound(name, tensor, override, noise=noise.get(name))
        for name, tensor in expected.tensors.items()
    }


def _judged(
    implementation: Implementation,
    outcome: Outcome,
    baseline: Implementation,
    of_baseline: Outcome,
    problem: Problem,
    noise: Mapping[str, float],
    collect: Collect,
) -> tuple[Judged, Result | None]:
    """Judge an implementation; return with it the answer that counts."""
    own = _without_verdict(implementation.name, outcome)
    if outcome.result is None:
        return replace(own, verdict="unsupported" if outcome.status == "unsupported" else "error"), None
    if of_baseline.result is None:
        verdict: Verdict = "unsupported" if of_baseline.status == "unsupported" else "error"
        return replace(
            own, verdict=verdict, reason=f"there is no baseline: {baseline.name}: {of_baseline.reason}"
        ), None
    answers = judge_answers(
        problem, outcome.result, outcome.second, of_baseline.result, noise, implementation.complete, collect
    )
    verdict = "error" if outcome.status == "error" else answers.comparison.verdict
    remarks, reason = (*answers.remarks, *outcome.remarks), outcome.reason or answers.reason
    return replace(own, verdict=verdict, comparison=answers.comparison, remarks=remarks, reason=reason), answers.worse


def _without_verdict(name: str, outcome: Outcome) -> Judged:
    loss = seconds = None
    if outcome.result is not None:
        seconds = outcome.result.seconds
        if outcome.result.loss is not None and outcome.result.loss.shape == ():
            loss = float(outcome.result.loss)
    judged = Judged(name, outcome.status, None, outcome.reason, outcome.detail, None, loss, seconds)
    return replace(judged, remarks=outcome.remarks, said=outcome.said)


def not_kept(outcome: CaseOutcome) -> str:
    """Keep nothing."""
    del outcome
    return ""


def execute(
    cases: Sequence[Case],
    implementations: Sequence[Implementation],
    baseline: Implementation,
    workers: Workers,
    collect: Collect = "failed",
    keep: Callable[[CaseOutcome], str] = not_kept,
) -> Iterator[Run]:
    """Run cases; yield the run, growing by an outcome at a time, and once more when it is complete.

    Args:
        cases: what to run.
        implementations: which implementations to run them with, where the case does not name fewer.
        baseline: the one the others are compared with.
        workers: the processes to run them in.
        collect: which elements to keep one by one.
        keep: keeps an outcome's numbers, which the run does not hold, and returns the name of the file.
    """
    start = time.perf_counter()
    run = Run(baseline.name, tuple(dict.fromkeys([baseline.name, *(each.name for each in implementations)])))
    run.processes = {each.name: each.framework.name for each in (baseline, *implementations)}
    yield run
    examiner = Examiner()
    for outcome in run_cases(cases, implementations, baseline, workers, collect):
        examined = examiner.examined(outcome)
        run.outcomes.append(replace(examined, evidence=None, kept=keep(examined)))
        yield run
    agreed(run)
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
