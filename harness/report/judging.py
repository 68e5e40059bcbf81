"""Kept results judged again, with other tolerances or another baseline; nothing is run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.execution.session import CaseNumbers, CaseOutcome, Examiner, Judgement, Run, Standard
from harness.execution.session.answers import OF_THE_NUMBERS
from harness.execution.session.examiner import agreed
from harness.execution.session.floors import Floors
from harness.execution.session.oracle import side
from harness.execution.session.running import bounds_of, named
from harness.implementations import implementations
from harness.report.kept import FOLDER, Damaged, Kept, read
from harness.report.report import Report
from harness.result import Answer

Tolerance = Mapping[str, float]


class Judge:
    """Judges kept cases.

    Args:
        tolerance: ``rtol`` and ``atol`` in place of each case's own; None to leave those.
        baseline: the baseline; None for that of the report.
    """

    def __init__(self, tolerance: Tolerance | None, baseline: str | None) -> None:
        self.tolerance = tolerance
        self.baseline = baseline
        self._examiner = Examiner()

    def judged(self, kept: Kept) -> CaseOutcome:
        """Return the outcome of a case as it would have been."""
        case, baseline = kept.problem.case, self.baseline or kept.baseline
        if (known := implementations().get(baseline)) is not None and not known.is_of(case):
            baseline = kept.baseline
        if self.tolerance is not None:
            case = replace(case, tolerance=dict(self.tolerance))
        if baseline not in [each.implementation for each in kept.judged]:
            raise Damaged(f"{baseline} cannot be the baseline: no result of it was kept for {case.name}")
        problem = replace(kept.problem, case=case)
        floors = kept.floors if baseline == kept.baseline else Floors(reason=f"the kept check was of {kept.baseline}")
        numbers = CaseNumbers(problem, kept.noise, kept.results, kept.oracle)
        expected = kept.results.get(baseline)
        judged, to_explain = [], []
        for each in kept.judged:
            if each.implementation == baseline:
                judged.append(replace(each, verdict=None, oracle=""))
                continue
            own = self._one(each, numbers, floors, baseline)
            judged.append(own)
            if own.can_be_explained:
                to_explain.append(each.implementation)
        in_order = sorted(judged, key=lambda each: each.implementation != baseline)
        bounds = {} if expected is None else bounds_of(problem, expected, kept.noise)
        numbers = replace(numbers, to_explain=tuple(to_explain))
        return self._examiner.examined(CaseOutcome(case, baseline, tuple(in_order), bounds, floors, numbers))

    def _one(self, each: Judgement, numbers: CaseNumbers, floors: Floors, baseline: str) -> Judgement:
        problem, noise, results = numbers.problem, numbers.noise, numbers.results
        was = replace(each, verdict=each.verdict or ("match" if each.status == "ok" else "error"), oracle="")
        if each.implementation not in results:
            return was
        if baseline not in results:
            return replace(was, verdict="error", reason=f"there is no baseline: {baseline} returned nothing")
        standard = Standard(problem, results[baseline], noise, floors)
        noticed = tuple(remark for remark in each.remarks if remark.kind not in OF_THE_NUMBERS)
        answer = Answer("error" if each.status == "error" else "ok", results[each.implementation], remarks=noticed)
        judged, _ = standard.judged(each.implementation, each.promise, answer)
        oracle = numbers.oracle
        agreement = ""
        if judged.verdict == "mismatch" and oracle in results and oracle != baseline:
            agreement = side(judged, oracle, baseline, results, standard)
        return replace(
            was,
            verdict=judged.verdict,
            comparison=judged.comparison,
            reason=judged.reason,
            oracle=agreement,
            remarks=judged.remarks,
        )


def judged_anew(report: Report, tolerance: Tolerance | None, baseline: str | None) -> Run:
    """Return the run with new verdicts, over the cases that have kept tensors.

    Args:
        report: the report.
        tolerance: ``rtol`` and ``atol`` in place of each case's own; None to leave those.
        baseline: the baseline; None for that of the report.

    Raises:
        Damaged: if a file of kept tensors cannot be read.
    """
    judge = Judge(tolerance, baseline)
    was = report.environment
    implementations = dict.fromkeys(row["implementation"] for row in report["runs"])
    run = Run(baseline or was["baseline"], tuple(implementations), versions=was["frameworks"])
    run.processes, run.seconds_to_import, run.seconds = was["processes"], was["seconds_to_import"], was["seconds"]
    for name, path in report.kept.items():
        outcome = judge.judged(read(path))
        if outcome.case.name != name:
            raise Damaged(f"{path.name} holds {outcome.case.name}, but should hold {name}")
        run.outcomes.append(replace(outcome, numbers=None, kept=f"{FOLDER}/{path.name}"))
    agreed(run)
    run.baseline = named(outcome.baseline for outcome in run.outcomes) or run.baseline
    return run
