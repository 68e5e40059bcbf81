"""The interface between a run and an executor of its cases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self

from harness.case import ValidCase
from harness.comparison import Collect
from harness.execution.processes import Asking
from harness.execution.session.outcomes import CaseOutcome
from harness.implementations import Implementation


class ExecutorFailed(Exception):
    """Cases cannot be worked on, or no longer; the text says why and what to do."""


class CaseExecutor(ABC):
    """Works on the cases of a run. A context manager that ends whatever it started.

    The outcomes do not depend on which executor it is, nor on how many processes it has.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def asking(self) -> Asking:
        """The asker for questions beside the cases."""

    @abstractmethod
    def outcomes(
        self,
        cases: Sequence[ValidCase],
        implementations: Sequence[Implementation],
        baseline: Implementation,
        collect: Collect = "failed",
    ) -> Iterator[CaseOutcome]:
        """Run cases side by side; yield their outcomes in the order of the cases.

        Args:
            cases: what to run.
            implementations: which implementations to run them with, where the case does not name fewer.
            baseline: the one the others are compared with.
            collect: which elements to keep one by one.

        Raises:
            ExecutorFailed: if it cannot continue.
        """

    @abstractmethod
    def starting(self) -> list[str]:
        """Return the names of the parts that are still starting."""

    @abstractmethod
    def versions(self) -> dict[str, dict[str, str]]:
        """The versions of the modules of each framework that has answered."""

    @abstractmethod
    def seconds_to_import(self) -> dict[str, float]:
        """Return the import time of each framework's modules, in seconds."""

    def machines(self) -> list[Mapping[str, Any]]:
        """Return the other machines that answered, each with its number of cases; empty if none did."""
        return []

    @abstractmethod
    def end(self) -> None:
        """End whatever was started, and with it what is under way. May be called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
