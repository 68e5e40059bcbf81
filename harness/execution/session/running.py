"""Running cases: each through its implementations side by side, each implementation compared with the baseline."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.case import ValidCase
from harness.comparison import Collect, Verdict
from harness.execution.processes import Asking, NativeWeightsFailed
from harness.execution.session.answers import Standard
from harness.execution.session.examiner import Examiner, agreed
from harness.execution.session.outcomes import CaseNumbers, CaseOutcome, Judgement, Run
from harness.implementations import NUMPY, Framework, Implementation, initialisers, install_line, missing_modules
from harness.implementations import implementations as all_implementations
from harness.implementations.certified import FLINT
from harness.precision import tolerance as tolerances
from harness.precision.tolerance import Bound
from harness.problem import Problem, build
from harness.result import Answer, Result

if TYPE_CHECKING:
    from harness.execution.session.executors import CaseExecutor

DEFAULT_BASELINE = "numpy-split"


DERIVED = "derived"
"""The baseline of recurrences, where the one that is asked for is of networks alone."""


def baseline_for(case: ValidCase, asked: Implementation) -> Implementation:
    """Return the baseline of a case: the one that is asked for, if it is of what the case is of."""
    return asked if asked.is_of(case) else all_implementations()[DERIVED]


def named(baselines: Iterable[str]) -> str:
    """Write the baselines of a run, each once."""
    return " and ".join(sorted(set(baselines), key=lambda name: (name == DERIVED, name)))


def chosen_for(
    case: ValidCase, implementations: Sequence[Implementation], baseline: Implementation
) -> list[Implementation]:
    """Return the implementations that a case is for, its baseline first."""
    own = baseline_for(case, baseline)
    return [own, *(each for each in implementations if each.name != own.name and each.takes_part_in(case))]


def frameworks_for(
    cases: Sequence[ValidCase], implementations: Sequence[Implementation], baseline: Implementation
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
    cases: Sequence[ValidCase], implementations: Sequence[Implementation], baseline: Implementation
) -> list[tuple[Framework, int]]:
    """Return about how many questions each framework's processes will be asked."""
    asked = [NUMPY, NUMPY if missing_modules(FLINT) else FLINT] * len(cases)  # for the noise, for the floor
    for case in cases:
        chosen = chosen_for(case, implementations, baseline)
        asked += [o.framework for o in chosen if not o.reason_against(case) and not missing_modules(o.framework)]
    by_name = {each.name: each for each in asked}
    return [(by_name[name], count) for name, count in Counter(each.name for each in asked).items()]


class AtOnce(Executor):
    """Calls what is submitted at once, for answers that need not be waited for."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Call; return what is done already."""
        done: Future[Any] = Future()
        done.set_result(call(*args, **named))
        return done


def run_case(
    case: ValidCase, implementations: Sequence[Implementation], asking: Asking, calls: Executor, collect: Collect
) -> CaseOutcome:
    """Run one case with each implementation, of which the first is the baseline, and compare."""
    try:
        problem = build(case, asking.native_weights)
    except NativeWeightsFailed as failure:
        return without_weights(case, implementations, failure)
    return judge_case(problem, implementations, *answered(problem, implementations, asking, calls), collect)


def without_weights(
    case: ValidCase, implementations: Sequence[Implementation], failure: NativeWeightsFailed
) -> CaseOutcome:
    """Return the outcome of a case without weights."""
    baseline, *others = implementations
    status: Verdict = "error" if failure.installed else "unsupported"
    reason = f"the weights could not be made: {failure}"
    first = Judgement(baseline.name, status, None, reason)
    return CaseOutcome(case, baseline.name, (first, *(Judgement(o.name, status, status, reason) for o in others)))


def answered(
    problem: Problem, implementations: Sequence[Implementation], asking: Asking, calls: Executor
) -> tuple[Mapping[str, Answer], Standard | None]:
    """Ask all the questions of a case side by side, as far as one does not need the answer to another.

    Returns:
        The answer of every implementation by name, and the standard to hold them against; None without a baseline.
    """
    noise_found = calls.submit(asking.rounding_noise, problem)
    futures = [calls.submit(asking.run, each, problem) for each in implementations]
    expected = futures[0].result().result
    floor_found = None if expected is None else calls.submit(asking.floor, problem, expected.tensors)
    answers = {each.name: future.result() for each, future in zip(implementations, futures, strict=True)}
    noise = noise_found.result()
    if expected is None or floor_found is None:
        return answers, None
    return answers, Standard.measured(problem, expected, noise, floor_found.result())


def judge_case(
    problem: Problem,
    implementations: Sequence[Implementation],
    answers: Mapping[str, Answer],
    standard: Standard | None,
    collect: Collect,
) -> CaseOutcome:
    """Compare the answer of each implementation with that of the first of them, the baseline."""
    baseline, *others = implementations
    judged, wrong = [Judgement.of(baseline.name, answers[baseline.name])], dict[str, Result]()
    results = {name: each.result for name, each in answers.items() if each.result is not None}
    oracle = next((each.name for each in others if each.is_oracle and each.name in results), "")
    if standard is None:
        judged += [_without_baseline(each, answers, baseline) for each in others]
        return CaseOutcome(
            problem.case, baseline.name, tuple(judged), numbers=CaseNumbers(problem, {}, results, oracle)
        )
    for each in others:
        if answers[each.name].result is None:
            own = Judgement.of(each.name, answers[each.name])
            judged.append(replace(own, verdict=_as_verdict(answers[each.name]), promise=each.promise))
            continue
        own, counts = standard.judged(each.name, each.promise, answers[each.name], collect)
        if oracle and own.verdict == "mismatch":
            from harness.execution.session.oracle import side

            own = replace(own, oracle=side(own, oracle, baseline.name, results, standard))
        judged.append(own)
        if own.can_be_explained:
            wrong[each.name] = counts
    numbers = CaseNumbers(problem, standard.noise, results | wrong, oracle, tuple(wrong))
    bounds = bounds_of(problem, standard.expected, standard.noise)
    return CaseOutcome(problem.case, baseline.name, tuple(judged), bounds, standard.floors, numbers)


def _as_verdict(answer: Answer) -> Verdict:
    """Return the verdict on an answer without a result."""
    return "unsupported" if answer.status == "unsupported" else "error"


def _without_baseline(
    implementation: Implementation, answers: Mapping[str, Answer], baseline: Implementation
) -> Judgement:
    """Return the judgement of an implementation on a case without an answer of the baseline."""
    own, of_baseline = answers[implementation.name], answers[baseline.name]
    judged = replace(Judgement.of(implementation.name, own), promise=implementation.promise)
    if own.result is None:
        return replace(judged, verdict=_as_verdict(own))
    verdict: Verdict = "unsupported" if of_baseline.status == "unsupported" else "error"
    return replace(judged, verdict=verdict, reason=f"there is no baseline: {baseline.name}: {of_baseline.reason}")


def bounds_of(problem: Problem, expected: Result, noise: Mapping[str, float]) -> dict[str, Bound]:
    """Return the tolerance in force for each tensor of a problem."""
    override = problem.case.tolerance
    return {
        name: tolerances.bound(name, tensor, override, noise=tolerances.noise_for(name, tensor.shape, noise))
        for name, tensor in expected.tensors.items()
    }


def not_kept(outcome: CaseOutcome) -> str:
    """Keep nothing."""
    del outcome
    return ""


def execute(
    cases: Sequence[ValidCase],
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
        run.outcomes.append(replace(examined, numbers=None, kept=keep(examined)))
        yield run
    agreed(run)
    run.executor, run.machines = executor.name, executor.machines()
    run.versions, run.seconds_to_import = executor.versions(), executor.seconds_to_import()
    run.seconds = time.perf_counter() - start
    yield run


def not_installed(implementations: Sequence[Implementation]) -> list[str]:
    """Return a line for each module that implementations only lack, with their names and the command to type."""
    lacking: dict[tuple[str, str], list[str]] = {}
    for each in implementations:
        if (missing := missing_modules(each.framework)) and not each.framework.reason_against_machine:
            lacking.setdefault((missing[0], install_line(each.framework)), []).append(each.name)
    return [
        f"{', '.join(names)} {'needs' if len(names) == 1 else 'need'} {module}, which is not installed; {install}"
        for (module, install), names in lacking.items()
    ]


def not_here(implementations: Sequence[Implementation]) -> list[str]:
    """Return a line for each implementation that cannot run here, for want of its framework or of a device."""
    lacking = [
        f"{each.name} cannot run here: {reason}; `harness list implementations` shows what can"
        for each in implementations
        if (reason := each.framework.reason_against_machine)
    ]
    return [*not_installed(implementations), *lacking]
