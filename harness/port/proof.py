"""Both files, each read and run by its own framework, and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy import ndarray

from harness.checkpoint import Recurrent
from harness.execution.processes import AnswerCache, Workers
from harness.execution.processes.transport import Message
from harness.implementations import Framework, Implementation, Returned, implementations
from harness.port.plan import Plan
from harness.port.sides import File, Side
from harness.problem import Problem

ORIGINAL, PORTED = "original", "ported"
REFERENCE = "numpy-split"
"""The implementation that computes with the harness's own reading of the weights, besides the two."""


class Porters(Workers):
    """The processes of the sides, besides those that measure rounding noise; each question to one names its file.

    Args:
        cache: the earlier answers of the other processes.
    """

    def __init__(self, cache: AnswerCache | None = None) -> None:
        super().__init__(cache)
        self._files: dict[str, dict[str, Any]] = {}

    @contextmanager
    def about(self, files: Mapping[str, File]) -> Iterator[None]:
        """Make implementations run on files, by their names."""
        self._files = {name: {"file": file.to_plain()} for name, file in files.items()}
        try:
            yield
        finally:
            self._files = {}

    def ask(self, framework: Framework, header: Mapping[str, object], arrays: Mapping[str, ndarray]) -> Message:
        """Ask a process, with its file."""
        of_file = self._files.get(str(header.get("implementation", "")), {})
        return super().ask(framework, {**header, **of_file}, arrays)


def process_of(side: Side) -> Framework:
    """Return the process of a side."""
    program = ("-m", "harness.port.process", side.name)
    return replace(side.framework, name=f"{side.name}-port", program=program)


def compared(plan: Plan) -> tuple[Implementation, list[Implementation]]:
    """Return the original, which is the baseline, and the implementations that are compared with it."""

    def of(name: str, side: Side) -> Implementation:
        about = f"by {side.framework.name}"
        return Implementation(name, side.layout, _elsewhere, process_of(side), complete=True, about=about)

    return of(ORIGINAL, plan.original), [of(PORTED, plan.ported), implementations()[REFERENCE]]


def files_of(plan: Plan, written: Path, ported: Recurrent) -> dict[str, File]:
    """Return the file of each side."""
    return {ORIGINAL: File.of(plan.source, plan.layers, ours=False), PORTED: File.of(written, ported, ours=True)}


def _elsewhere(problem: Problem) -> Returned:
    """Replace a function that only a side's process has."""
    raise RuntimeError(f"a side runs in a process of its own, never here (on {problem.case.name})")
