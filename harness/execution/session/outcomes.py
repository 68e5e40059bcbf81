"""The outcomes of a run: one implementation on one case, one case, all cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy import ndarray

from harness.case import ValidCase, training
from harness.comparison import SEVERITY, Comparison, Verdict
from harness.diagnosis import Diagnosis
from harness.execution.session.floors import Floors
from harness.implementations import Promise
from harness.precision.tolerance import Bound
from harness.problem import Problem
from harness.result import Answer, Result
from harness.result.remark import Remark
from harness.tensors import Shape

COMPLETE = Promise(complete=True)


@dataclass(frozen=True, eq=False)
class Judgement:
    """One implementation on one case.

    Attributes:
        implementation: its name.
        status: of the implementation itself: ``ok``, ``unsupported`` or ``error``.
        verdict: on the comparison with the baseline; None for the baseline itself.
        reason: why, if there is no comparison.
        detail: the traceback, or the last lines of the process's standard error.
        comparison: None if there is nothing to compare.
        kept: the file in which they were kept; empty if they were not.
        oracle: the side that the oracle agrees with in a disagreement, in words; empty if there is no oracle.
        loss: the loss it found.
        seconds: how long it took.
        remarks: the remarks of its trial, which reports show before the numbers.
        said: its output.
        diagnoses: where it disagrees with the baseline, what explains its numbers, the best explanation first.
        steps: what is known of each step of its training, (steps,) each: ``loss``, and what stands in
            ``Result.per_step``; empty if there was none.
        promise: what it promises of its answers, by which it is judged.
    """

    implementation: str
    status: str
    verdict: Verdict | None
    reason: str = ""
    detail: str = ""
    comparison: Comparison | None = None
    loss: float | None = None
    seconds: float | None = None
    oracle: str = ""
    remarks: tuple[Remark, ...] = ()
    said: str = ""
    diagnoses: tuple[Diagnosis, ...] = ()
    steps: Mapping[str, ndarray] = field(default_factory=dict)
    promise: Promise = COMPLETE

    @classmethod
    def of(cls, implementation: str, answer: Answer) -> Judgement:
        """Return an answer without a verdict."""
        loss = None if answer.result is None else answer.result.loss
        return cls(
            implementation,
            answer.status,
            None,
            answer.reason,
            answer.detail,
            loss=float(loss) if loss is not None and loss.shape == () else None,
            seconds=None if answer.result is None else answer.result.seconds,
            remarks=answer.remarks,
            said=answer.said,
            steps=steps_of(answer.result),
        )

    @property
    def can_be_explained(self) -> bool:
        """True if a tensor has wrong numbers, or has them in a wrong shape."""
        if self.verdict not in ("mismatch", "error") or self.comparison is None:
            return False
        return self.comparison.can_be_explained


@dataclass(frozen=True, eq=False)
class CaseNumbers:
    """The numbers of a case: what it takes to explain its mismatches, and to judge it anew.

    Attributes:
        problem: in the split layout.
        noise: how far rounding alone moves each tensor, absolute.
        results: of every implementation that returned something, the baseline included, by name; of two answers the
            one that counts.
        oracle: the name of the oracle; empty if none took part.
        to_explain: the names of those that disagree with the baseline in numbers or shapes.
    """

    problem: Problem
    noise: Mapping[str, float]
    results: Mapping[str, Result]
    oracle: str = ""
    to_explain: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CaseOutcome:
    """One case, done.

    Attributes:
        case: the case.
        baseline: the name of the baseline.
        judged: every implementation that was asked, the baseline included.
        bounds: the tolerance of each tensor.
        floors: how far the baseline itself is off.
        numbers: the numbers, until they are explained and kept; None if there is nothing to compare.
        kept: the file in which they were kept; empty if they were not.
    """

    case: ValidCase
    baseline: str
    judged: tuple[Judgement, ...]
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    floors: Floors = field(default_factory=Floors)
    numbers: CaseNumbers | None = None
    kept: str = ""

    @property
    def tensors(self) -> dict[str, Shape]:
        """The shape of every tensor that is compared."""
        return {**self.case.structure.tensors, **training.tensors(self.case)}

    @property
    def of_baseline(self) -> Judgement:
        """The judgement of the baseline itself."""
        return next(each for each in self.judged if each.verdict is None)

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
        """True if the case came out as its file declares: a match, or a known mismatch."""
        if self.verdict == "unsupported":
            return True
        return self.verdict == self.case.expect

    @property
    def surprise(self) -> str:
        """The difference from what the file declares, in words; empty if there is none."""
        if self.as_expected:
            return ""
        if self.case.expect == "mismatch" and self.verdict == "match":
            return f"expected a mismatch ({self.case.because}), but everything matches"
        return f"expected {self.case.expect}, found {self.verdict}"


@dataclass
class Run:
    """A whole run, as reports show it.

    Attributes:
        baseline: the name of the baseline.
        implementations: the names of all that were asked.
        outcomes: one for each case, in order.
        versions: the versions of each framework's modules.
        seconds_to_import: how long each framework took to import.
        seconds: how long the run took.
        processes: for each implementation the name of the process that it runs in.
        subnormals: what becomes of subnormal numbers in each implementation that was probed.
        executor: the name of what ran the cases.
        machines: where other machines, or processes that stand for them, answered: what each is, and how many cases.
    """

    baseline: str
    implementations: tuple[str, ...]
    outcomes: list[CaseOutcome] = field(default_factory=list)
    versions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    seconds_to_import: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    processes: Mapping[str, str] = field(default_factory=dict)
    subnormals: Mapping[str, str] = field(default_factory=dict)
    executor: str = "local"
    machines: Sequence[Mapping[str, Any]] = ()

    @property
    def comparisons(self) -> Iterator[tuple[CaseOutcome, Judgement]]:
        """Every pair of a case and an implementation that is not its baseline."""
        return ((outcome, each) for outcome in self.outcomes for each in outcome.judged if each.verdict is not None)

    @property
    def surprises(self) -> list[CaseOutcome]:
        """The cases that did not come out as their files say."""
        return [outcome for outcome in self.outcomes if not outcome.as_expected]

    @property
    def tensors_compared(self) -> int:
        """The number of tensors that were compared with the baseline's."""
        return sum(len(each.comparison.tensors) for _, each in self.comparisons if each.comparison)

    @property
    def elements_compared(self) -> int:
        """The number of elements that were compared with the baseline's."""
        return sum(each.comparison.elements for _, each in self.comparisons if each.comparison)

    @property
    def failed_implementations(self) -> list[tuple[CaseOutcome, Judgement]]:
        """The implementations that ended in an error, the baseline included, or were judged ``error``."""
        return [
            (outcome, each)
            for outcome in self.outcomes
            for each in outcome.judged
            if "error" in (each.status, each.verdict)
        ]


def steps_of(result: Result | None) -> dict[str, ndarray]:
    """Return the values of each step of a training for ``Judgement.steps``; empty without a loss curve of one axis."""
    curve = None if result is None else result.training.get(training.LOSS_CURVE)
    if result is None or curve is None or curve.ndim != 1:
        return {}
    return {"loss": curve, **{name: each for name, each in result.per_step.items() if each.shape == curve.shape}}
