"""The check of an implementation in low precision, and its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from numpy import ndarray

from harness.diagnosis import Diagnosis
from harness.low_precision.elsewhere import ELSEWHERE
from harness.low_precision.judging import MOST_OF_LARGEST, MOST_OF_RMS, MOST_T, Measured, measured
from harness.low_precision.naming import named
from harness.low_precision.problems import SEEDS, problems
from harness.precision.formats import Rounds
from harness.problem.recurrent import RecurrenceProblem
from harness.recurrences import Recurrence

Answer = Callable[[RecurrenceProblem], Mapping[str, ndarray]]
"""A function from a problem to tensors by name."""


@dataclass(frozen=True)
class LowPrecision:
    """The result of a check in low precision. Its text is a table with the verdict on each tensor.

    Attributes:
        recurrence: the recurrence's name.
        rounds: where the implementation rounds.
        tensors: the errors of each tensor.
        diagnoses: the faults that explain the wrong tensors.
    """

    recurrence: str
    rounds: Rounds
    tensors: list[Measured]
    diagnoses: list[Diagnosis]

    @property
    def matches(self) -> bool:
        """True if at least one gradient was returned and every tensor is right to within rounding."""
        return bool(self.tensors) and not any(each.faults for each in self.tensors)

    def __str__(self) -> str:
        verdict = "right to within rounding" if self.matches else "WRONG"
        lines = [f"{self.recurrence} with {self.rounds}, {SEEDS} problems: {verdict}"]
        if not self.tensors:
            return f"{lines[0]}: the implementation returned no tensor of the recurrence"
        width = max(len(each.tensor) for each in self.tensors)
        head = f"{'tensor':{width}}  largest     RMS       t  factor seen"
        most = f"at most {MOST_OF_LARGEST:g} and {MOST_OF_RMS:g}; |t| at most {MOST_T:g}"
        lines.append(f"  {head}  (errors in units of simulated rounding, {most})")
        for each in self.tensors:
            numbers = f"{each.largest:7.2f} {each.rms:7.2f} {each.t:7.1f}  {each.seen.best:>10.2%}"
            lines.append(f"  {each.tensor:{width}}  {numbers if not each.reason else each.reason}")
            lines += [f"  {'':{width}}  {fault}" for fault in each.faults if not each.reason]
        lines += [f"diagnosis: {each}" for each in self.diagnoses]
        return "\n".join([*lines, *self.elsewhere])

    @property
    def elsewhere(self) -> list[str]:
        """The rules of other projects: how many of the tensors each accepts, and the median factor that it sees."""
        judged = [each for each in self.tensors if each.elsewhere]
        if not judged:
            return []
        lines = ["rules of other projects, for comparison:"]
        for rule in ELSEWHERE:
            accepted = sum(each.elsewhere[rule][0] for each in judged)
            sees = median(each.elsewhere[rule][1] for each in judged)
            lines.append(f"  {rule:52}  accepts {accepted} of {len(judged)}; a wrong factor is seen from {sees:.2%} on")
        return lines


def assert_right(
    answer: Answer,
    recurrence: Recurrence,
    rounds: str | Mapping[str, str] | Rounds,
    sizes: Mapping[str, int] | None = None,
    wider: AssertionError | None = None,
) -> LowPrecision:
    """Assert that an implementation is right to within the rounding that it declares.

    Args:
        answer: the implementation, a function from a problem to tensors by name.
        recurrence: the recurrence.
        rounds: where the implementation rounds.
        sizes: of letters, B and T.
        wider: the failure of the same implementation on wider numbers, to show with its own; None if there is none.

    Raises:
        AssertionError: if a tensor is wrong, or if there is none.
    """
    __tracebackhide__ = True
    report = check(answer, recurrence, rounds, sizes)
    if not report.matches:
        raise AssertionError("\n\n".join([str(report), *([f"In wider numbers:\n{wider}"] if wider else [])]))
    return report


def check(
    answer: Answer,
    recurrence: Recurrence,
    rounds: str | Mapping[str, str] | Rounds,
    sizes: Mapping[str, int] | None = None,
) -> LowPrecision:
    """Check an implementation of a recurrence that rounds to low precision.

    Args:
        answer: the implementation, a function from a problem to tensors by name. The problem is in float64; its numbers
            are exact in the format of stored arrays.
        recurrence: the recurrence.
        rounds: where the implementation rounds.
        sizes: of letters, B and T.

    Raises:
        ValueError: if ``rounds`` has an unknown format or operation.
        DeclarationError: if a size is not the recurrence's.
    """
    where = rounds if isinstance(rounds, Rounds) else Rounds.of(rounds)
    drawn = problems(recurrence, where, sizes)
    found = measured(answer, drawn, where)
    wrong = any(each.faults for each in found)
    return LowPrecision(recurrence.name, where, found, named(answer, drawn, where) if wrong else [])
