"""Running cases: each through its implementations side by side, each implementation compared with the baseline."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.case import Case
from harness.comparison import Collect, Verdict
from harness.execution.processes import Asking, NativeWeightsFailed, Outcome
from harness.execution.session.answers import Standard
from harness.execution.session.examiner import Examiner, agreed
from harness.execution.session.floors import Floors
from harness.execution.session.oracle import side
from harness.execution.session.outcomes import CaseOutcome, Evidence, Judged, Run, steps_of
from harness.implementations import NUMPY, Framework, Implementation, initialisers, install_line, missing_modules
from harness.implementations import implementations as all_implementations
from harness.implementations.certified import FLINT
from harness.precision import tolerance as tolerances
from harness.precision.error_floor import Floor
from harness.precision.tolerance import Bound
from harness.problem import Problem, build
from harness.result import Result

if TYPE_CHECKING:
    from harness.execution.session.executors import CaseExecutor

DEFAULT_BASELINE = "numpy-split"


DERIVED = "derived"
"""The baseline of recurrences, where the one that is asked for is of networks alone."""


def baseline_for(case: Case, asked: Implementation) -> Implementation:
    """Return the baseline of a case: the one that is asked for, if it is of what the case is of."""
    return asked if asked.is_of(case) else all_implementations()[DERIVED]


def named(baselines: Iterable[str]) -> str:
    """Write the baselines of a run, each once."""
    return " and ".join(sorted(set(baselines), key=lambda name: (name == DERIVED, name)))


def chosen_for(case: Case, implementations: Sequence[Implementation], baseline: Implementation) -> list[Implementation]:
    """Return the implementations that a case is for, its baseline first."""
    own = baseline_for(case, baseline)
    return [own, *(each for each in implementations if each.name != own.name and each.takes_part_in(case))]


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


def questions_for(
    cases: Sequence[Case], implementations: Sequence[Implementation], baseline: Implementation
) -> list[tuple[Framework, int]]:
    """Return about how many questions each framework's processes will be asked."""
    asked = [NUMPY, NUMPY if missing_modules(FLINT) else FLINT] * len(cases)  # for the noise, for the floor
    for case in cases:
        chosen = chosen_for(case, implementations, baseline)
        asked += [o.framework for o in chosen if not o.reason_against(case) and not missing_modules(o.framework)]
    by_name = {each.name: each for each in asked}
    return [(by_name[name], count) for name, count in Counter(each.name for each in asked).items()]


@dataclass(frozen=True, eq=False)
class Answered:
    """What was answered to the questions of a case.

    Attributes:
        outcomes: of every implementation, by name.
        noise: how far rounding alone moves each tensor, absolute.
        floor: how far the baseline is off; None if it has no result.
    """

    outcomes: Mapping[str, Outcome]
    noise: Mapping[str, float]
    floor: Floor | None


class AtOnce(Executor):
    """Calls what is submitted at once, for answers that need not be waited for."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Call; return what is done already."""
        done: Future[Any] = Future()
        done.set_result(call(*args, **named))
        return done


def run_case(
    case: Case, implementations: Sequence[Implementation], asking: Asking, calls: Executor, collect: Collect
) -> CaseOutcome:
    """Run one case with each implementation, of which the first is the baseline, and compare."""
    try:
        problem = build(case, asking.native_weights)
    except NativeWeightsFailed as failure:
        return without_weights(case, implementations, failure)
    return judge_case(problem, implementations, answered(problem, implementations, asking, calls), collect)


def without_weights(case: Case, implementations: Sequence[Implementation], failure: NativeWeightsFailed) -> CaseOutcome:
    """Return the outcome of a case whose weights could not be had."""
    baseline, *others = implementations
    status: Verdict = "error" if failure.installed else "unsupported"
    reason = f"there are no weights to run with: {failure}"
    first = Judged(baseline.name, status, None, reason)
    return CaseOutcome(case, baseline.name, (first, *(Judged(o.name, status, status, reason) for o in others)))


def answered(problem: Problem, implementations: Sequence[Implementation], asking: Asking, calls: Executor) -> Answered:
    """Ask all the questions of a case side by side, as far as one does not need the answer to another."""
    noise_found = calls.submit(asking.rounding_noise, problem)
    futures = [calls.submit(asking.run, each, problem) for each in implementations]
    expected = futures[0].result().result
    floor_found = None if expected is None else calls.submit(asking.floor, problem, expected.tensors)
    outcomes = {each.name: future.result() for each, future in zip(implementations, futures, strict=True)}
    return Answered(outcomes, noise_found.result(), None if floor_found is None else floor_found.result())


def judge_case(
    problem: Problem, implementations: Sequence[Implementation], answers: Answered, collect: Collect
) -> CaseOutcome:
    """Compare what each implementation answered with what the first of them, the baseline, answered."""
    baseline, *others = implementations
    outcomes, noise, floors = answers.outcomes, answers.noise, Floors()
    of_baseline = outcomes[baseline.name]
    expected, standard = of_baseline.result, None
    if expected is not None:
        standard = Standard.measured(problem, expected, noise, answers.floor)
        floors, noise = standard.floors, standard.noise
    results = {name: each.result for name, each in outcomes.items() if each.result is not None}
    judged, wrong = [_without_verdict(baseline.name, of_baseline)], dict[str, Result]()
    oracle = next((each for each in others if each.is_oracle and each.name in results), None)
    for each in others:
        own, answer = _judged(each, outcomes[each.name], baseline, of_baseline, standard, collect)
        own = replace(own, promise=each.promise)
        if oracle is not None and own.verdict == "mismatch":
            assert own.comparison is not None
            told = side(each.name, own.comparison, oracle.name, baseline.name, results, problem, noise)
            own = replace(own, oracle=told)
        judged.append(own)
        if answer is not None and own.can_be_explained:
            wrong[own.implementation] = answer
    bounds = {} if expected is None else bounds_of(problem, expected, noise)
    evidence = Evidence(problem, noise, results | wrong, oracle.name if oracle is not None else "", tuple(wrong))
    return CaseOutcome(problem.case, baseline.name, tuple(judged), bounds, floors, evidence)


def bounds_of(problem: Problem, expected: Result, noise: Mapping[str, float]) -> dict[str, Bound]:
    """Return the tolerance in force for each tensor of a problem."""
    override = problem.case.tolerance
    return {
        name: tolerances.bound(name, tensor, override, noise=tolerances.noise_for(name, tensor.shape, noise))
        for name, tensor in expected.tensors.items()
    }


def _judged(
    implementation: Implementation,
    outcome: Outcome,
    baseline: Implementation,
    of_baseline: Outcome,
    standard: Standard | None,
    collect: Collect,
) -> tuple[Judged, Result | None]:
    """Judge an implementation; return with it the answer that counts."""
    own = _without_verdict(implementation.name, outcome)
    if outcome.result is None:
        return replace(own, verdict="unsupported" if outcome.status == "unsupported" else "error"), None
    if standard is None:
        verdict: Verdict = "unsupported" if of_baseline.status == "unsupported" else "error"
        return replace(
            own, verdict=verdict, reason=f"there is no baseline: {baseline.name}: {of_baseline.reason}"
        ), None
    answers = standard.judged(implementation.promise, outcome.result, outcome.second, collect, outcome.remarks)
    verdict = "error" if outcome.status == "error" else answers.comparison.verdict
    reason = outcome.reason or answers.reason
    own = replace(own, verdict=verdict, comparison=answers.comparison, remarks=answers.remarks, reason=reason)
    return own, answers.worse


def _without_verdict(name: str, outcome: Outcome) -> Judged:
    loss = seconds = None
    if outcome.result is not None:
        seconds = outcome.result.seconds
        if outcome.result.loss is not None and outcome.result.loss.shape == ():
            loss = float(outcome.result.loss)
    judged = Judged(name, outcome.status, None, outcome.reason, outcome.detail, None, loss, seconds)
    return replace(judged, remarks=outcome.remarks, said=outcome.said, steps=steps_of(outcome.result))


def not_kept(outcome: CaseOutcome) -> str:
    """Keep nothing."""
    del outcome
    return ""


def execute(
    cases: Sequence[Case],
    implementations: Sequence[Implementation],
    baseline: Implementation,
    executor: CaseExecutor,
    collect: Collect = "failed",
    keep: Callable[[CaseOutcome], str] = not_kept,
) -> Iterator[Run]:
    """Run cases; yield the run, growing by an outcome at a time, and once more when it is complete.

    Args:
        cases: what to run.
        implementations: which implementations to run them with, where the case does not name fewer.
        baseline: the one the others are compared with.
        executor: where they are run.
        collect: which elements to keep one by one.
        keep: keeps an outcome's numbers, which the run does not hold, and returns the name of the file.
    """
    start = time.perf_counter()
    baselines = {each.name: each for each in (baseline_for(case, baseline) for case in cases)}
    asked = {**(baselines or {baseline.name: baseline}), **{each.name: each for each in implementations}}
    run = Run(named(baselines) or baseline.name, tuple(asked))
    run.processes = {name: each.framework.name for name, each in asked.items()}
    yield run
    examiner = Examiner(executor.asking)
    for outcome in executor.outcomes(cases, implementations, baseline, collect):
        examined = examiner.examined(outcome)
        run.outcomes.append(replace(examined, evidence=None, kept=keep(examined)))
        yield run
    agreed(run)
    run.executor, run.machines = executor.name, executor.machines()
    run.versions, run.seconds_to_import = executor.versions(), executor.seconds_to_import()
    run.seconds = time.perf_counter() - start
    yield run


def not_installed(implementations: Sequence[Implementation]) -> list[str]:
    """Return a line with the command to type for each implementation that only lacks its framework."""
    return [
        f"{each.name} needs {missing[0]}, which is not installed; {install_line(each.framework)}"
        for each in implementations
        if (missing := missing_modules(each.framework)) and not each.framework.reason_against_machine
    ]


def not_here(implementations: Sequence[Implementation]) -> list[str]:
    """Return a line for each implementation that cannot run here, for want of its framework or of a device."""
    lacking = [
        f"{each.name} cannot run here: {reason}; `harness list implementations` shows what can"
        for each in implementations
        if (reason := each.framework.reason_against_machine)
    ]
    return [*not_installed(implementations), *lacking]
