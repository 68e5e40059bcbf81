"""The questions of a run: an implementation's answer, rounding noise, the floor, a framework's own weights.

Subclasses implement ``ask``, with a process on this machine or on another one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from numpy import ndarray

from harness.diagnosis.explanation import UNEXPLAINED, Diagnosis
from harness.execution.processes.messages import (
    of_floor_request,
    of_problem,
    of_tensors,
    to_diagnoses,
    to_floor,
    to_results,
)
from harness.execution.processes.process import WorkerFailed
from harness.execution.processes.transport import Message
from harness.implementations import NUMPY, Framework, Implementation, initialisers, install_line, missing_modules
from harness.implementations.certified import FLINT
from harness.precision.error_floor import ErrorFloor
from harness.problem import Problem
from harness.result import Answer
from harness.result.remark import Remark
from harness.tensors import Structure

if TYPE_CHECKING:
    from harness.diagnosis.sight import Sight


class NativeWeightsFailed(Exception):
    """A framework's own initial weights could not be had; the text is the reason.

    Attributes:
        installed: whether the framework is there at all.
    """

    def __init__(self, reason: str, *, installed: bool) -> None:
        super().__init__(reason)
        self.installed = installed


class Asking(ABC):
    """Asks the questions of a run, and reads the answers.

    Attributes:
        homes: for each recurrence with a step in a user's file, the process of that file.
    """

    homes: Mapping[str, Framework] = MappingProxyType({})

    @abstractmethod
    def ask(self, framework: Framework, header: Mapping[str, object], arrays: Mapping[str, ndarray]) -> Message:
        """Have a question answered by a process of a framework.

        Raises:
            WorkerFailed: if there is no answer.
        """

    def start(self, frameworks: Iterable[Framework]) -> None:
        """Make ready for questions to these frameworks; return at once."""
        del frameworks

    def run(self, implementation: Implementation, problem: Problem) -> Answer:
        """Run an implementation in its framework's process. Never raises on the implementation's account."""
        if reason := implementation.reason_against(problem.case):
            return Answer("unsupported", reason=reason)
        framework = implementation.framework
        if missing := missing_modules(framework):
            return Answer("unsupported", reason=f"{missing[0]} is not installed; {install_line(framework)}")
        header, arrays = of_problem(problem)
        try:
            message = self.ask(framework, {"do": "run", "implementation": implementation.name, **header}, arrays)
        except WorkerFailed as failure:
            return Answer("error", reason=failure.reason, detail=failure.detail, said=failure.said)
        found = message.header
        result, second = to_results(message)
        return Answer(
            found["status"],
            result,
            found.get("reason", ""),
            found.get("detail", ""),
            second,
            tuple(Remark(*each) for each in found.get("remarks", ())),
            found["said"],
        )

    def rounding_noise(self, problem: Problem) -> dict[str, float]:
        """Measure how far rounding alone moves each tensor, those of training included.

        Empty if the reference cannot run the problem.
        """
        header, arrays = of_problem(problem)
        try:
            answer = self.ask(self._home(problem), {"do": "rounding_noise", **header}, arrays)
        except WorkerFailed:
            return {}
        return dict(answer.header.get("noise", {}))

    def explained(
        self, problem: Problem, tensors: Mapping[str, ndarray], noise: Mapping[str, float], matching: Sequence[str]
    ) -> list[Diagnosis]:
        """Explain wrong gradients of a recurrence, where its step is.

        Args:
            problem: the problem.
            tensors: what was returned.
            noise: how far rounding alone moves each tensor, absolute.
            matching: names of tensors that match.
        """
        header, arrays = of_problem(problem)
        question = {"do": "explain", "noise": dict(noise), "matching": list(matching), **header}
        try:
            answer = self.ask(self._home(problem), question, {**arrays, **of_tensors(tensors)})
        except WorkerFailed as failure:
            return [Diagnosis(UNEXPLAINED, f"unexplained; {failure.reason}", {})]
        if answer.header["status"] != "ok":
            return [Diagnosis(UNEXPLAINED, f"unexplained; {answer.header['reason']}", {})]
        return to_diagnoses(answer.header["diagnoses"])

    def sight(self, problem: Problem) -> Sight:
        """Return which faults of a recurrence's step show on a problem, found where its step is.

        Raises:
            WorkerFailed: if the process cannot answer, or the problem is too large.
        """
        header, arrays = of_problem(problem)
        answer = self.ask(self._home(problem), {"do": "sight", **header}, arrays)
        if answer.header["status"] != "ok":
            raise WorkerFailed(answer.header["reason"], answer.header.get("detail", ""))
        from harness.diagnosis.sight import Sight

        found = answer.header["sight"]
        return Sight(tuple(found["seen"]), found["missed"], found["impossible"])

    def _home(self, problem: Problem, framework: Framework = NUMPY) -> Framework:
        """Return the process that has a problem's step; that of a framework if every process has it."""
        return framework if problem.case.recurrence is None else self.homes.get(problem.case.cell, framework)

    def floor(self, problem: Problem, baseline: Mapping[str, ndarray]) -> ErrorFloor:
        """Measure how far the baseline's tensors are off, against the best answers that can be had.

        Never raises: where there are no better answers, the floor has no source and says why.
        """
        header, arrays = of_floor_request(problem, baseline)
        reasons = []
        for framework, way in ((FLINT, "from_intervals"), (NUMPY, "from_wider_numbers")):
            if missing := missing_modules(framework):
                reasons.append(f"{missing[0]} is not installed; {install_line(framework)}")
                continue
            try:
                answer = self.ask(self._home(problem, framework), {"do": "floor", "way": way, **header}, arrays)
            except WorkerFailed as failure:
                reasons.append(failure.reason)
                continue
            if answer.header["status"] == "ok":
                return replace(to_floor(answer), reason="; ".join(reasons))
            reasons.append(answer.header["reason"])
        return ErrorFloor(reason="; ".join(reasons))

    def native_weights(self, framework: str, seed: int, structure: Structure, dtype: str) -> Mapping[str, ndarray]:
        """Return a framework's own initial weights, in the split layout.

        Raises:
            NativeWeightsFailed: if they cannot be had.
        """
        of_framework = initialisers()[framework].framework
        if missing := missing_modules(of_framework):
            raise NativeWeightsFailed(f"{missing[0]} is not installed; {install_line(of_framework)}", installed=False)
        header = {
            "do": "initial_weights",
            "framework": framework,
            "seed": seed,
            "structure": asdict(structure),
            "dtype": dtype,
        }
        try:
            answer = self.ask(of_framework, header, {})
        except WorkerFailed as failure:
            raise NativeWeightsFailed(failure.reason, installed=True) from None
        if answer.header["status"] != "ok":
            raise NativeWeightsFailed(answer.header["reason"], installed=True)
        return answer.arrays
