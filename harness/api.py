"""The harness from Python: load a case, run an implementation on its problem, compare."""

from __future__ import annotations

import atexit
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from os import PathLike, fspath
from typing import Any

from harness import case as cases
from harness.case.training import is_of_training
from harness.casefile import MistakesFound, listed, nearest
from harness.diagnosis import Diagnosis, Predictions
from harness.implementations import NUMPY, Implementation, Returned, Unsupported, implementation, implementations
from harness.problem import Problem, build
from harness.result import Result
from harness.returned import arrays_of
from harness.session import DEFAULT_BASELINE, diagnose_result, judge_answers
from harness.session.examiner import BASELINE_IS_OFF
from harness.training import noise_of
from harness.training import run as run_here
from harness.trial import Trial, try_out
from harness.worker import Memory, NativeWeightsFailed, Workers

Runnable = str | Implementation | Callable[[Problem], Returned]
"""An implementation by name, one made by the decorator, or a plain function, which then works in split weights."""


class ImplementationFailed(RuntimeError):
    """An implementation ended in an error; the text has its traceback or the last lines of its process."""


class HarnessWarning(UserWarning):
    """Something about how a function behaves that is to be known though its numbers match."""


class Case(cases.Case):
    """A case, with the way to its problem."""

    def problem(self) -> Problem:
        """Make the case concrete.

        Returns:
            The problem: every array, in the split layout.

        Raises:
            ImplementationFailed: if the case wants a framework's own initial weights and they cannot be had.
        """
        try:
            return build(self, shared_workers().native_weights)
        except NativeWeightsFailed as failure:
            raise ImplementationFailed(f"{self.name}: there are no weights to run with: {failure}") from None


@cache
def shared_workers() -> Workers:
    """The processes that serve calls from Python; they start when first needed and end with this process."""
    workers = Workers(Memory())
    atexit.register(workers.end)
    return workers


def load_cases(path: str | PathLike[str]) -> list[Case]:
    """Load the case of a file, the cases of its sweep, or those of a folder.

    Args:
        path: a file, a folder, or a case's name below ``cases/``.

    Returns:
        At least one case.

    Raises:
        MistakesFound: with every mistake in the files, each with its line.
        ValueError: if there is no case.
    """
    loaded = cases.load([fspath(path)], implementations())
    if loaded.mistakes:
        raise MistakesFound(loaded.mistakes)
    if not loaded.cases:
        raise ValueError(f"there is no case in {fspath(path)}")
    return [Case(**vars(each)) for each in loaded.cases]


def load_case(path: str | PathLike[str]) -> Case:
    """Load the one case of a file.

    Args:
        path: a file, or a case's name; for one case of a sweep, with its combination in brackets.

    Raises:
        MistakesFound: with every mistake in the file, each with its line.
        ValueError: if there is no case, or several.
    """
    found = load_cases(path)
    if len(found) > 1:
        raise ValueError(f"{fspath(path)} has {len(found)} cases, {found[0].name} among them; use load_cases for all")
    return found[0]


def run(name_or_function: Runnable, problem: Problem) -> Result:
    """Run an implementation on a problem.

    Implementations that need a framework run in a process of it, which is kept for later calls. Functions, and what
    needs NumPy alone, run here.

    Args:
        name_or_function: an implementation's name, one made by ``harness.implementation``, or a function.
        problem: a problem, in the split layout.

    Returns:
        Loss, outputs and gradients, in canonical tensors.

    Raises:
        ValueError: if there is no implementation of this name.
        Unsupported: if it cannot represent the problem.
        ImplementationFailed: if its process failed. What a function raises is raised.
    """
    if isinstance(name_or_function, str) and _found(name_or_function).framework != NUMPY:
        outcome = shared_workers().run(_found(name_or_function), problem)
        if outcome.result is not None:
            return outcome.result
        if outcome.status == "unsupported":
            raise Unsupported(outcome.reason)
        raise ImplementationFailed(f"{name_or_function}: {outcome.reason}\n{outcome.detail}".rstrip())
    return run_here(_found(name_or_function), problem)


def diagnose(actual: Result | Mapping[str, Any], problem: Problem) -> list[Diagnosis]:
    """Explain what is wrong with the numbers of an implementation.

    Args:
        actual: a result; or arrays, lists or tensors of any framework by canonical name, any subset, ``loss`` and
            ``outputs`` among them if there are any.
        problem: what they are the answer to, in the split layout.

    Returns:
        Explanations, the best first, each with its residual; a single one named ``unexplained`` if none fits; nothing
        if nothing is wrong.

    Raises:
        NotReadable: if something is no array of real numbers.
    """
    if not isinstance(actual, Result):
        arrays = arrays_of(actual, problem.case.dtype)
        training = {name: array for name, array in arrays.items() if is_of_training(name)}
        others = {"loss", "outputs", *training}
        gradients = {name: array for name, array in arrays.items() if name not in others}
        actual = Result(arrays.get("loss"), arrays.get("outputs"), gradients, 0.0, training=training)
    found = diagnose_result(actual, Predictions(problem, noise_of(problem)))
    return [each for each in found if each.fault != BASELINE_IS_OFF]


def assert_gradients_match(
    function: Runnable, case: str | PathLike[str] | cases.Case, *, baseline: str = DEFAULT_BASELINE
) -> None:
    """Assert that an implementation agrees with the baseline on a case, or on every case of a sweep or folder.

    Tensors that it does not return are not compared; those that it does must all match. A function is called twice for
    each case, on fresh copies; both answers must match. Cases that it cannot represent are left out.

    Args:
        function: the implementation.
        case: a case, or where to load it from.
        baseline: what it is compared with.

    Raises:
        AssertionError: with what is to be known first, each tensor that disagrees (the element, both values, the bound
            there), and the diagnosis.
        Unsupported: if it can represent none of the cases.

    Warns:
        HarnessWarning: where everything matches, and yet something is to be known: it alters its inputs, say, or
            returns another dtype.
    """
    __tracebackhide__ = True
    reasons = []
    each_case = [Case(**vars(case))] if isinstance(case, cases.Case) else load_cases(case)
    for each in each_case:
        problem = each.problem()
        try:
            trial = _tried(function, problem)
        except Unsupported as reason:
            reasons.append(f"{each.name}: {reason}")
            continue
        expected = run(baseline, problem)
        noise = noise_of(problem)
        answers = judge_answers(
            problem, trial.result, trial.second, expected, noise, complete=False, noticed=trial.remarks
        )
        said = [remark.text for remark in answers.remarks]
        if trial.failure is not None or not answers.comparison.matches:
            title = f"{each.name}: {_found(function).name} against {baseline}"
            because = f" ({answers.reason})" if answers.reason else ""
            told = [str(found) for found in diagnose(answers.worse, problem)] if trial.failure is None else []
            title += f", {trial.failed_in}" if trial.failed_in else ""
            lines = [*said, f"{title}: {answers.comparison}{because}", *(f"diagnosis: {each}" for each in told[:1])]
            raise AssertionError("\n".join(lines)) from trial.failure
        for text in said:
            warnings.warn(f"{each.name}: {_found(function).name}: {text}", HarnessWarning, stacklevel=2)
    if len(reasons) == len(each_case):
        raise Unsupported("; ".join(reasons))


def _tried(function: Runnable, problem: Problem) -> Trial:
    """Try out a function; what is known by name is not watched."""
    if isinstance(function, str):
        return Trial(run(function, problem), None, None, ())
    return try_out(_found(function), problem)


def _found(wanted: Runnable) -> Implementation:
    if isinstance(wanted, Implementation):
        return wanted
    if isinstance(wanted, str):
        there = implementations()
        if wanted not in there:
            hint = nearest(wanted, there) or f"there are {listed(there)}"
            raise ValueError(f"there is no implementation {wanted!r}; {hint}")
        return there[wanted]
    return implementation(getattr(wanted, "__name__", "function"))(wanted)


__all__: list[Any] = [
    "Case",
    "HarnessWarning",
    "ImplementationFailed",
    "assert_gradients_match",
    "diagnose",
    "load_case",
    "load_cases",
    "run",
    "shared_workers",
]
