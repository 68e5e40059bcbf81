"""The check of an implementation in low precision, and its report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median

from numpy import ndarray

from harness.case import ValidCase
from harness.diagnosis import Diagnosis
from harness.low_precision.elsewhere import ELSEWHERE
from harness.low_precision.judging import MOST_OF_LARGEST, MOST_OF_RMS, MOST_T, Measured, measured
from harness.low_precision.naming import named
from harness.low_precision.problems import SEEDS, problems
from harness.low_precision.rounding import Simulation
from harness.precision.formats import Rounds
from harness.problem.recurrent import RecurrenceProblem
from harness.recurrences import Recurrence

Answer = Callable[[RecurrenceProblem], Mapping[str, ndarray]]
"""A function from a problem to tensors by name."""

ABOUT = "Numbers that the format has; many elements, so that roundings average out."


@dataclass(frozen=True)
class LowPrecision:
    """The result of a check in low precision. Its text is a table with the verdict on each tensor.

    Attributes:
        case: the problems, with the draw of the first.
        rounds: where the implementation rounds.
        tensors: the errors of each tensor.
        diagnoses: the faults that explain the wrong tensors.
    """

    case: ValidCase
    rounds: Rounds
    tensors: list[Measured]
    diagnoses: list[Diagnosis]

    @property
    def matches(self) -> bool:
        """True if at least one gradient was returned and every tensor is right to within rounding."""
        return bool(self.tensors) and not any(each.faults for each in self.tensors)

    def __str__(self) -> str:
        verdict = "right to within rounding" if self.matches else "WRONG"
        if not self.tensors:
            return f"{self.case.name}: {verdict}: the implementation returned no tensor of the recurrence"
        diagnoses = [f"diagnosis: {each}" for each in self.diagnoses]
        return "\n".join([f"{self.case.name}: {verdict}", *self._lines(faults=True), *diagnoses, *self.elsewhere])

    @property
    def table(self) -> str:
        """The errors of each tensor and the factors seen, and the rules of other projects, without the verdicts."""
        return "\n".join([*self._lines(faults=False), *self.elsewhere])

    def _lines(self, *, faults: bool) -> Iterator[str]:
        width = max(len(each.tensor) for each in self.tensors)
        most = f"at most {MOST_OF_LARGEST:g} and {MOST_OF_RMS:g}; |t| at most {MOST_T:g}"
        head = f"{'tensor':{width}}  largest     RMS       t  factor seen"
        yield f"  {head}  (errors in units of simulated rounding, {most})"
        for each in self.tensors:
            numbers = f"{each.largest:7.2f} {each.rms:7.2f} {each.t:7.1f}  {each.seen.best:>10.2%}"
            out = f"  {each.left_out:,} elements overflow by rounding alone" if each.left_out else ""
            yield f"  {each.tensor:{width}}  {each.reason or numbers + out}"
            if faults and not each.reason:
                yield from (f"  {'':{width}}  {fault}" for fault in each.faults)

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
    answers = [answer(each) for each in drawn]
    simulations = [Simulation(each.sequences, where, seed) for seed, each in enumerate(drawn)]
    found = measured(answers, simulations)
    wrong = any(each.faults for each in found)
    case = replace(drawn[0].case, name=f"{recurrence.name} with {where}, {SEEDS} problems", about=ABOUT)
    return LowPrecision(case, where, found, named(answers, simulations) if wrong else [])
