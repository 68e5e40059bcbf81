"""The harness from Python: load a case, run an implementation on its problem, compare."""

from __future__ import annotations

import atexit
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from os import PathLike, fspath
from typing import Any, Literal

from harness import case as cases
from harness.candidate.own_loss import check_function
from harness.candidate.trial import try_out
from harness.case import making, tolerances
from harness.case.training import tensors as training_shapes
from harness.casefile import MistakesFound, listed, nearest
from harness.comparison import Comparison, ComparisonPolicy
from harness.comparison import compare as compare_arrays
from harness.diagnosis import Diagnosis, Predictions
from harness.diagnosis.recurrent import Explainer
from harness.execution.processes import AnswerCache, Asking, NativeWeightsFailed, Workers
from harness.execution.processes.here import Here
from harness.execution.session import DEFAULT_BASELINE, Standard, diagnose_result, directional, on_its_own
from harness.execution.session.examiner import BASELINE_IS_OFF
from harness.implementations import ANY, NUMPY, Implementation, Returned, Unsupported, implementation, implementations
from harness.layout import layouts
from harness.layout.names import fitting_layouts, why_not
from harness.low_precision import assert_right, called
from harness.problem import Problem, build
from harness.problem.configurations import configurations
from harness.problem.recurrent import build_recurrence
from harness.recurrences import Recurrence, recurrences
from harness.result import Answer, Result, read
from harness.result.returned import mapping_of
from harness.tensors import is_gradient, shapes
from harness.training import noise_of
from harness.training import run as run_here

Runnable = str | Implementation | Callable[[Problem], Returned]
"""An implementation by name, one made by the decorator, or a plain function, which then works in split weights."""


class ImplementationFailed(RuntimeError):
    """An implementation ended in an error; the text has its traceback or the last lines of its process."""


class HarnessWarning(UserWarning):
    """A function behaves unexpectedly although its numbers match."""


class Case(cases.ValidCase):
    """A case that can make its problem."""

    def problem(self) -> Problem:
        """Make the case concrete.

        Returns:
            The problem with every array, in the split layout.

        Raises:
            ImplementationFailed: if the case needs a framework's own initial weights and they are not available.
        """
        try:
            return build(self, shared_workers().native_weights)
        except NativeWeightsFailed as failure:
            raise ImplementationFailed(f"{self.name}: there are no weights to run with: {failure}") from None


@cache
def shared_workers() -> Workers:
    """The processes that serve calls from Python; they start when first needed and end with this process."""
    workers = Workers(AnswerCache())
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
    check_arguments(path=path)
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
    check_arguments(path=path)
    found = load_cases(path)
    if len(found) > 1:
        raise ValueError(f"{fspath(path)} has {len(found)} cases, {found[0].name} among them; use load_cases for all")
    return found[0]


def make_case(*, name: str = "", **fields: Any) -> Case:
    """Make a case without a file.

    Args:
        name: The name of the case; that of its cell by default.
        fields: The keys of a case file, such as ``cell="gru"``, ``weights={"normal": 0.5, "seed": 1}`` and
            ``sizes={"batch": 2, "time": 5, "input": 3, "hidden": 4}``. An array stands for its values, as in
            ``inputs=x``. The cell may be a recurrence of your own, or its name. Inputs and the initial state are random
            unless you give them, since zeros hide wrong gradients.

    Raises:
        MistakesFound: With every mistake, each with the name of its argument.
    """
    return Case(**vars(making.made(fields, name, implementations())))


def run(name_or_function: Runnable, problem: Problem) -> Result:
    """Run an implementation on a problem.

    Implementations that need a framework run in a process of it, which is kept for later calls. Functions, and
    implementations that need NumPy alone, run here.

    Args:
        name_or_function: an implementation's name, one made by ``harness.implementation``, or a function.
        problem: a problem, in the split layout.

    Returns:
        Loss, outputs and gradients, in canonical tensors. It knows its problem, so ``compare`` judges it by the case.

    Raises:
        ValueError: if there is no implementation of this name.
        Unsupported: if it cannot represent the problem.
        ImplementationFailed: if its process failed. A function's own exception is raised unchanged.
    """
    check_arguments(name_or_function=name_or_function, problem=problem)
    found = as_implementation(name_or_function)
    by_name = isinstance(name_or_function, str)
    elsewhere = by_name and found.framework != NUMPY and isinstance(asking_of(problem), Workers)
    answer = _of_process(found, problem) if elsewhere else run_here(found, problem)
    return replace(answer, problem=problem, implementation=found)


def _of_process(found: Implementation, problem: Problem) -> Result:
    """Return the answer of an implementation of the harness, from the process of its framework."""
    outcome = shared_workers().run(found, problem)
    if outcome.result is not None:
        return outcome.result
    if outcome.status == "unsupported":
        raise Unsupported(outcome.reason)
    raise ImplementationFailed(f"{found.name}: {outcome.reason}\n{outcome.detail}".rstrip())


def compare(
    actual: Result | Mapping[str, Any],
    expected: Result | Mapping[str, Any],
    *,
    tolerance: Mapping[str, Any] | None = None,
    nonfinite: Literal["refused", "allowed"] | None = None,
    layout: str = "split",
    require_all: bool = False,
) -> Comparison:
    """Compare the results of an implementation with the right ones.

    If one of the two is a ``Result`` of ``harness.run``, its problem is known, and the bounds are those of
    ``assert_gradients_match`` and ``harness check``: the case's tolerance, the rounding noise, the floor, the slopes at
    a kink of relu. Between arrays alone they are those of ``harness.precision.tolerance``, by dtype and kind of tensor.

    It judges the one answer that it is given. ``assert_gradients_match`` and ``harness check`` call a function twice,
    and judge the worse of two answers that differ.

    Args:
        actual: a result, or arrays, lists, numbers, tensors of any framework or ``Partial`` by tensor.
        expected: the baseline's.
        tolerance: ``{"rtol": …, "atol": …}``, or those by tensor, instead of the case's; None for the case's.
        nonfinite: ``refused``, or ``allowed`` if the same NaN or infinity at the same place matches; None for the
            case's own, ``refused`` without a case.
        layout: the layout of the names in ``actual``, if it is not a ``Result``.
        require_all: whether a gradient that is missing is a mismatch; if not, it is listed as not provided.

    Returns:
        A comparison that holds each expected tensor and each unexpected one exactly once.

    Raises:
        ValueError: if nothing at all can be compared, a tolerance names no tensor or is no finite number of 0 or more,
            the layout does not exist, or a layout is given for arrays of an unknown problem.
        TypeError: if an argument is of another kind.
        NotReadable: if a value is no array of real numbers.
    """
    check_arguments(actual=actual, expected=expected, nonfinite=nonfinite, layout=layout, require_all=require_all)
    problem = _problem_of(actual, expected)
    if problem is None:
        if layout != "split":
            raise ValueError(
                f"arrays in the layout {layout!r} need a problem: give a Result of harness.run as expected"
            )
        if tolerance is not None:
            _check_tolerance(tolerance, _names(expected))
        return compare_arrays(
            actual if isinstance(actual, Result) else mapping_of(actual),
            expected if isinstance(expected, Result) else mapping_of(expected),
            ComparisonPolicy(
                tolerance=tolerance,
                nonfinite=nonfinite or "refused",
                complete=False,
                required=[name for name in _names(expected) if is_gradient(name)] if require_all else (),
                own_dtype=True,
            ),
        )
    answer = actual if isinstance(actual, Result) else _read(actual, problem, layout)
    implementation = answer.implementation or _UNKNOWN
    case = problem.case
    if implementations().get(implementation.name) is not implementation:
        case = on_its_own(case)
    if tolerance is not None:
        _check_tolerance(tolerance, [*problem.structure.tensors, *training_shapes(case)])
        case = replace(case, tolerance=dict(tolerance))
    problem = replace(problem, case=replace(case, nonfinite=nonfinite or case.nonfinite))
    truth = expected if isinstance(expected, Result) else _read(expected, problem, "split")
    promise = replace(implementation.promise, all_gradients=require_all or implementation.all_gradients)
    standard = _standard(problem, truth)
    judged, _ = standard.judged(implementation.name, promise, Answer("ok", answer))
    assert judged.comparison is not None
    return judged.comparison


def _check_tolerance(tolerance: Mapping[str, Any], tensors: Collection[str]) -> None:
    """Refuse a tolerance that is invalid, or would change nothing."""
    for path, problem, hint in tolerances.mistakes(tolerance, tensors):
        place = "".join(f"[{each!r}]" for each in path)
        raise ValueError("; ".join(filter(None, [f"tolerance{place}: {problem}", hint])))


def _names(given: Result | Mapping[str, Any]) -> Collection[str]:
    return given.tensors if isinstance(given, Result) else given


def _problem_of(actual: Result | Mapping[str, Any], expected: Result | Mapping[str, Any]) -> Problem | None:
    """Return the common problem of both answers; None if it is unknown, or if they have two."""
    known = [each.problem for each in (expected, actual) if isinstance(each, Result) and each.problem is not None]
    return known[0] if known and known[0].case == known[-1].case else None


def _read(arrays: Mapping[str, Any], problem: Problem, layout: str) -> Result:
    if layout not in layouts():
        hint = nearest(layout, layouts()) or f"there are {listed(layouts())}"
        raise ValueError(f"there is no layout {layout!r}; {hint}")
    return read(arrays, layout, problem, 0.0)


def _standard(problem: Problem, expected: Result) -> Standard:
    """Return the standard that answers to a problem are judged by, measured as for a run."""
    asking = asking_of(problem)
    return Standard.measured(problem, expected, asking.rounding_noise(problem), asking.floor(problem, expected.tensors))


def asking_of(problem: Problem) -> Asking:
    """Return the way to ask about a problem: the processes of frameworks, or this one, which alone has its step."""
    step = problem.recurrence
    return shared_workers() if step is None or step is recurrences().get(problem.case.cell) else Here(step)


def diagnose(actual: Result | Mapping[str, Any], problem: Problem, *, layout: str = "split") -> list[Diagnosis]:
    """Explain the wrong numbers of an implementation.

    Args:
        actual: a result; or any subset of the tensors by name, with ``loss`` and ``outputs``: arrays, lists, tensors of
            any framework or ``Partial``.
        problem: their problem, in the split layout.
        layout: the layout of the names in ``actual``, if it is not a ``Result``.

    Returns:
        Explanations, the best first, each with its residual; a single one named ``unexplained`` if none fits; nothing
        if nothing is wrong.

    Raises:
        ValueError: if a name is no tensor of the case, or a shape is not its tensor's; with the nearest name, the right
            shape, or the layout that has such names. No numbers were examined.
        NotReadable: if a value is no array of real numbers.
    """
    check_arguments(actual=actual, problem=problem, layout=layout)
    result = actual if isinstance(actual, Result) else _read(actual, problem, layout)
    if wrong := list(_misfits(result, problem, layout)):
        raise ValueError("\n".join([f"{problem.case.name}: nothing was diagnosed", *wrong]))
    return _explained(result, problem, noise_of(problem))


def _misfits(result: Result, problem: Problem, layout: str) -> Iterator[str]:
    """Yield the tensors that do not belong to the problem, by name or by shape, and their likely meaning."""
    tensors, structure = result.tensors, problem.structure
    tensors.pop(directional.NAME, None)
    expected = {**structure.tensors, **training_shapes(problem.case)}
    odd = {}
    for name, array in tensors.items():
        if name not in expected:
            why = why_not(name, array.shape, layout, structure, tensors, "they are read in")
            if why:
                odd[name] = array.shape
            of_names = result.implementation is None and why  # else an implementation or two gradients explain it
            yield f"{name}: {of_names or result.misfits.get(name, why)}"
        elif array.shape != expected[name]:
            texts = [each.explanation for each in _explained(result.only({name}), problem, {})]
            yield " ".join([f"{name}: {shapes.mistake(array.shape, expected[name])}.", *texts])
    if odd and result.implementation is None and (fitting := fitting_layouts(odd, structure)):
        others = listed([f"layout={each!r}" for each in fitting])
        yield f"harness.diagnose(..., {others}) converts {'it' if len(odd) == 1 else 'them'}"


def _explained(result: Result, problem: Problem, noise: Mapping[str, float]) -> list[Diagnosis]:
    if problem.recurrence is not None:
        return Explainer(problem, noise).explained(result.tensors)
    found = diagnose_result(result, Predictions(problem, noise))
    return [each for each in found if each.fault != BASELINE_IS_OFF]


def assert_gradients_match(
    function: Runnable,
    case: str | PathLike[str] | cases.ValidCase | Problem | Recurrence,
    *,
    baseline: str | None = None,
    require_all: bool = False,
    rounds: str | Mapping[str, str] = "",
) -> None:
    """Assert that an implementation agrees with the baseline on a case, or on every case of a sweep or folder.

    For a recurrence, the check uses problems that are made for it: sizes that all differ, one step and many, one
    sequence and several, both dtypes, upstream gradients of outputs and of last states.

    Tensors that it does not return are not compared, unless all gradients are required; those that it does must all
    match. A function is called twice for each case, on fresh copies; both answers must match. Cases that it cannot
    represent are left out.

    Args:
        function: the implementation.
        case: a case, or its path or name; a problem; a recurrence.
        baseline: the implementation to compare with; ``numpy-split``, or for a recurrence ``derived``, if None.
        require_all: whether a gradient that it does not return is a mismatch.
        rounds: the format of low precision that an implementation of a recurrence rounds to, such as ``bfloat16``, or
            formats by operation. It receives float32 arrays with numbers of that format, on two dozen problems, and
            each tensor is judged by simulated rounding and by its projection on the right one.

    Raises:
        AssertionError: with the remarks, each tensor that disagrees (the element, both values, the bound there), and
            the diagnosis.
        Unsupported: if it can represent none of the cases.

    Warns:
        HarnessWarning: if everything matches, but the function behaves unexpectedly: it alters its inputs, or returns
            another dtype, or no gradient.
    """
    __tracebackhide__ = True
    check_arguments(function=function, case=case, baseline=baseline, require_all=require_all, rounds=rounds)
    reasons = []
    implementation = as_implementation(function)
    if declared := rounds or implementation.rounds:
        if not isinstance(case, Recurrence):
            raise ValueError("rounds needs a recurrence; pass it as the second argument, in place of a case")
        assert_right(called(implementation), case, declared)
        return
    count = 0
    habits: dict[str, list[tuple[str, str]]] = {}  # by kind, the cases that show it, and the text
    for problem in problems_of(case, by_name=isinstance(function, str)):
        each, count = problem.case, count + 1
        against = baseline or (DEFAULT_BASELINE if problem.recurrence is None else "derived")
        try:
            answer = _tried(function, problem)
            expected = run(against, problem)
        except Unsupported as reason:
            reasons.append(f"{each.name}: {reason}")
            continue
        standard = _standard(problem, expected)
        promise = replace(implementation, all_gradients=implementation.all_gradients or require_all).promise
        judged, counts = standard.judged(implementation.name, promise, answer)
        said = [remark.text for remark in judged.remarks]
        assert judged.comparison is not None
        if answer.failure is not None or not judged.comparison.matches:
            title = f"{each.name}: {implementation.name} against {against}"
            because = f" ({judged.reason})" if judged.reason and answer.failure is None else ""
            found = []
            if answer.failure is None and judged.comparison.can_be_explained:
                found = _explained(counts, problem, standard.noise)
            title += f", {answer.reason}" if answer.failure is not None else ""
            _warn(implementation.name, habits)
            lines = [*said, f"{title}: {judged.comparison}{because}", *(f"diagnosis: {each}" for each in found[:1])]
            raise AssertionError("\n".join(lines)) from answer.failure
        for remark in judged.remarks:
            habits.setdefault(remark.kind, []).append((each.name, remark.text))
    _warn(implementation.name, habits)
    if len(reasons) == count:
        raise Unsupported("; ".join(reasons))


def _warn(name: str, habits: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Warn once of each kind of habit, however many cases show it."""
    for shown in habits.values():
        case, text = shown[0]
        others = f" (and in {len(shown) - 1} more cases)" if len(shown) > 1 else ""
        warnings.warn(f"{case}: {name}: {text}{others}", HarnessWarning, stacklevel=3)


def problems_of(
    given: str | PathLike[str] | cases.ValidCase | Problem | Recurrence, *, by_name: bool
) -> Iterator[Problem]:
    """Yield the problems for the check of an implementation."""
    if isinstance(given, Problem):
        yield given
    elif isinstance(given, Recurrence):
        for made in configurations(given):
            yield build_recurrence(made, given)
    else:
        found = [Case(**vars(given))] if isinstance(given, cases.ValidCase) else load_cases(given)
        for each in found:
            yield (each if by_name else on_its_own(each)).problem()


def _tried(function: Runnable, problem: Problem) -> Answer:
    """Try out a function; an implementation given by name is not watched."""
    if isinstance(function, str):
        return Answer("ok", run(function, problem))
    return try_out(as_implementation(function), problem)


def as_implementation(wanted: Runnable) -> Implementation:
    """Return an implementation: unchanged if given by name, and as a candidate if it is a user's function."""
    if isinstance(wanted, Implementation):
        return wanted.tried_out()
    if isinstance(wanted, str):
        there = implementations()
        if wanted not in there:
            own = f"import its function, or run: harness check {wanted}" if wanted.endswith(".py") else ""
            hint = own or nearest(wanted, there) or f"there are {listed(there)}"
            raise ValueError(f"there is no implementation {wanted!r}; {hint}")
        return there[wanted]
    return implementation(getattr(wanted, "__name__", "function"), recurrence=ANY)(wanted)


def _is_runnable(given: object) -> bool:
    return isinstance(given, str | Implementation) or callable(given)


def _is_answer(given: object) -> bool:
    return isinstance(given, Result | Mapping)


def _is_case(given: object) -> bool:
    return isinstance(given, str | PathLike | cases.ValidCase | Problem | Recurrence)


_CASE = "a Case, as harness.load_case(...) returns it, where to load it from, a Problem or a Recurrence"
_RUNNABLE = "an implementation's name, one made by @harness.implementation, or a function of a problem"
_ANSWER = "a Result, as harness.run returns it, or what a function returned: a dictionary {name: array}"

_ARGUMENTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "path": (lambda given: isinstance(given, str | PathLike), "a path, or a case's name such as 'basic/tanh'"),
    "case": (_is_case, _CASE),
    "case_or_recurrence": (_is_case, _CASE),
    "problem": (lambda given: isinstance(given, Problem), "a Problem, as harness.load_case(...).problem() returns it"),
    "name_or_function": (_is_runnable, _RUNNABLE),
    "function": (_is_runnable, _RUNNABLE),
    "actual": (_is_answer, _ANSWER),
    "expected": (_is_answer, _ANSWER),
    "layout": (lambda given: isinstance(given, str), "a layout's name, such as 'torch'"),
    "baseline": (
        lambda given: given is None or isinstance(given, str),
        "an implementation's name, such as 'numpy-split'",
    ),
    "nonfinite": (lambda given: given in (None, "refused", "allowed"), "'refused', 'allowed' or None"),
    "require_all": (lambda given: isinstance(given, bool), "True or False"),
    "rounds": (lambda given: isinstance(given, str | Mapping), "a format of low precision, such as 'bfloat16'"),
}
"""Arguments by name, with one meaning in all functions here: the test of a value, and the words for a right one."""


def check_arguments(**arguments: object) -> None:
    """Refuse an argument of another kind than its name requires.

    Raises:
        TypeError: with the given value, the right kind, and the way to make it.
        ValueError: if it is an unknown text, or a problem in another layout than split.
    """
    for name, given in arguments.items():
        fits, should_be = _ARGUMENTS[name]
        plain = given is None or isinstance(given, str | int | float)
        if not fits(given):
            shown = repr(given) if plain else f"of type {type(given).__name__}"
            refused = ValueError if isinstance(given, str) else TypeError
            raise refused(f"{name} is {shown}, but should be {should_be}")
        if isinstance(given, Problem) and given.layout != "split":
            raise ValueError(f"{name} is in the layout {given.layout!r}, but should be {should_be}, in 'split'")


_UNKNOWN = implementation("arrays")(lambda _: {})
"""The implementation of arrays that come without one."""


__all__: list[Any] = [
    "Case",
    "HarnessWarning",
    "ImplementationFailed",
    "assert_gradients_match",
    "check_function",
    "compare",
    "diagnose",
    "load_case",
    "load_cases",
    "make_case",
    "run",
    "shared_workers",
]
