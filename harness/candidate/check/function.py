"""The check of a function in the caller's own process, for notebooks and for Python: what ``harness check`` prints."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from numpy import ndarray
from typing_extensions import override

from harness.api import Runnable, as_implementation, asking_of, check_arguments, problems_of
from harness.candidate.check import coarse, page
from harness.candidate.check.candidate import DERIVED, Candidate, oracles
from harness.candidate.trial import try_out
from harness.candidate.userfile import tracebacks
from harness.case import ValidCase
from harness.comparison import Comparison
from harness.diagnosis import Diagnosis
from harness.execution.processes import Asking
from harness.execution.processes.transport import Message
from harness.execution.session import DEFAULT_BASELINE, CaseOutcome, Run
from harness.execution.session.examiner import Examiner
from harness.execution.session.running import AtOnce, answered, judge_case, named
from harness.implementations import Framework, Implementation, Unsupported
from harness.problem import Problem
from harness.recurrences import Recurrence
from harness.result import Answer
from harness.result.returned import NotReadable


@dataclass(frozen=True, eq=False, repr=False)
class Check:
    """The result of the check of an implementation. ``str`` returns the page that ``harness check`` prints.

    Attributes:
        run: The outcome of each case.
        candidate: The implementation that was checked.
    """

    run: Run
    candidate: Candidate

    @property
    def passed(self) -> bool:
        """True if something was compared, and everything that was returned matches in each case."""
        verdicts = [judged.verdict for _, judged in self._own.comparisons]
        return "match" in verdicts and not {"mismatch", "error"} & set(verdicts)

    @property
    def comparisons(self) -> dict[str, Comparison]:
        """The comparison of each case in which tensors were compared, by the case's name."""
        pairs = self._own.comparisons
        return {outcome.case.name: each.comparison for outcome, each in pairs if each.comparison is not None}

    @property
    def diagnoses(self) -> dict[str, tuple[Diagnosis, ...]]:
        """The diagnoses of each case that has some, the best one first, by the case's name."""
        return {outcome.case.name: each.diagnoses for outcome, each in self._own.comparisons if each.diagnoses}

    @property
    def conclusion(self) -> str:
        """The result in one sentence."""
        return page.conclusion(self._own)

    @property
    def _own(self) -> Run:
        return page.only_its_own(self.run, self.candidate)

    def __str__(self) -> str:
        return "\n".join([*page.lines(self.run, self.candidate), self.conclusion])

    def __repr__(self) -> str:
        return f"<Check: {self.conclusion}>"

    def _repr_html_(self) -> str:
        from harness.candidate.check.shown import html_of

        return html_of(self)


def check_implementation(
    function: Runnable,
    case_or_recurrence: str | PathLike[str] | ValidCase | Problem | Recurrence,
    *,
    baseline: str | None = None,
    require_all: bool = False,
) -> Check:
    """Check an implementation as ``harness check`` does, and return what it prints.

    The function runs in this process, twice for each problem, on fresh copies. An exception of it is an outcome of the
    check, with its traceback. A notebook shows the result as a page.

    Args:
        function: The implementation: a function of a problem, or one made by ``harness.implementation``.
        case_or_recurrence: A case, or its path or name; a folder; a problem; or a recurrence, which is checked on
            problems that are made for it.
        baseline: The implementation to compare with; ``numpy-split``, or for a recurrence ``derived``, if None.
        require_all: Whether a gradient that it does not return is a mismatch.

    Returns:
        The verdicts, the comparisons and the diagnoses of all cases.

    Raises:
        MistakesFound: If a case file has mistakes.
        ValueError: If there is no case, or no implementation has the name of the baseline.
    """
    check_arguments(
        function=function, case_or_recurrence=case_or_recurrence, baseline=baseline, require_all=require_all
    )
    own = as_implementation(function).tried_out(require_all=require_all)
    outcomes = list(_outcomes(own, function, case_or_recurrence, baseline))
    names = [each.implementation for outcome in outcomes for each in outcome.judged]
    run = Run(named(outcome.baseline for outcome in outcomes), tuple(dict.fromkeys(names)), outcomes)
    steps = {outcome.case.cell: None for outcome in outcomes if outcome.case.recurrence is not None}
    return Check(run, Candidate((own,), _place(own), "", tuple(steps)))


def _outcomes(
    own: Implementation,
    function: Runnable,
    given: str | PathLike[str] | ValidCase | Problem | Recurrence,
    baseline: str | None,
) -> Iterator[CaseOutcome]:
    """Yield the outcome of each problem, explained."""
    if own.rounds and isinstance(given, Recurrence):
        yield coarse.outcome_of(own, given)
        return
    examiners: dict[str, Examiner] = {}
    for problem in problems_of(given, by_name=isinstance(function, str)):
        of_step = problem.recurrence is not None
        asking = _Asker(asking_of(problem), None if isinstance(function, str) else own)
        against = as_implementation(baseline or (DERIVED if of_step else DEFAULT_BASELINE))
        others = oracles() if of_step else []
        asked = [against, own, *(each for each in others if each.name not in (against.name, own.name))]
        outcome = judge_case(problem, asked, *answered(problem, asked, asking, AtOnce()), "failed")
        examiner = examiners.setdefault(problem.case.cell, Examiner(asking))
        yield examiner.examined(outcome)


class _Asker(Asking):
    """Asks where questions are answered, and runs one implementation here.

    Args:
        others: The way to ask all other questions.
        own: The implementation that runs here; None if no implementation does.
    """

    def __init__(self, others: Asking, own: Implementation | None) -> None:
        self._others = others
        self._own = own

    @override
    def ask(self, framework: Framework, header: Mapping[str, object], arrays: Mapping[str, ndarray]) -> Message:
        return self._others.ask(framework, header, arrays)

    @override
    def run(self, implementation: Implementation, problem: Problem) -> Answer:
        return _tried(implementation, problem) if implementation is self._own else super().run(implementation, problem)


def _tried(own: Implementation, problem: Problem) -> Answer:
    """Try an implementation out here; its exception is an answer, too."""
    try:
        answer = try_out(own, problem)
    except Unsupported as reason:
        return Answer("unsupported", reason=str(reason) or "no reason is given")
    except NotReadable as refused:
        return Answer("error", reason=str(refused))
    except (Exception, SystemExit) as error:  # whatever it is, the function raised it
        return Answer("error", reason=tracebacks.line_of(error), detail=tracebacks.from_users_line_on(error))
    return answer


def _place(own: Implementation) -> str:
    """Return file, line and name of a function; the name alone in a notebook, which has no file."""
    function = inspect.unwrap(own.function)
    name = getattr(function, "__name__", own.name)
    code = getattr(function, "__code__", None)
    if code is None or not Path(code.co_filename).is_file():
        return name
    return f"{os.path.relpath(code.co_filename)}:{code.co_firstlineno} {name}"
