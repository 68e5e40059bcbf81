"""All worker processes of a run: a few for each framework, started side by side and kept to the end."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy import ndarray

from harness.execution.processes.answer_cache import AnswerCache, CachedAnswer
from harness.execution.processes.asking import Asking
from harness.execution.processes.crew import Crew, wait_quietly
from harness.execution.processes.launching import Launch
from harness.execution.processes.process import WorkerProcess
from harness.execution.processes.transport import Message
from harness.implementations import NUMPY, Framework


class Workers(Asking):
    """The worker processes of a run. A context manager that ends them all.

    Args:
        cache: the cache of answers; None to ask every question anew.
        jobs: how many processes each framework may have.
        numpy_here: whether what needs NumPy alone is answered by this process, which has it imported already.

    Attributes:
        cached: how many questions needed no process.
    """

    def __init__(self, cache: AnswerCache | None = None, jobs: int = 1, *, numpy_here: bool = False) -> None:
        self._cache = cache
        self._numpy_here = numpy_here
        self.jobs = jobs
        self.cached = 0
        self._known: dict[str, CachedAnswer] = {}
        self._crews: dict[str, Crew] = {}
        self._guard = threading.Lock()
        self._ended = False

    def start(self, frameworks: Iterable[Framework]) -> None:
        """Begin to start a process of each of these frameworks; return at once.

        Frameworks whose answers are likely cached wait for the first new question.
        """
        for framework in frameworks:
            if self._is_here(framework):
                continue
            if self._cache is not None and self._cache.knows(framework):
                continue
            threading.Thread(target=wait_quietly, args=(self._crew(framework),), daemon=True).start()

    def adopt(self, framework: Framework, launch: Launch) -> None:
        """Take over a process of a framework that the system has started already."""
        with self._guard:
            self._crews[framework.name] = Crew(framework, self.jobs, launch)

    def expect(self, framework: Framework, questions: int) -> None:
        """Know about how many questions are to come to a framework; more processes start if that is worth it."""
        self._crew(framework).expect(questions)

    def starting(self) -> list[str]:
        """Return the frameworks that are still being imported."""
        there = self._there()
        return [name for name, all_of_it in there if any(each.seconds_to_import is None for each in all_of_it)]

    def versions(self) -> dict[str, dict[str, str]]:
        """Return the versions of the modules of each framework that is ready, or has cached answers."""
        ready = {name: each.versions for name, all_of_it in self._there() for each in all_of_it if each.versions}
        return {name: dict(each.versions) for name, each in self._known.items()} | ready

    def seconds_to_import(self) -> dict[str, float]:
        """Return the import time of each framework's modules in seconds, now or when it answered."""
        ready = {name: all_of_it[0].seconds_to_import for name, all_of_it in self._there() if all_of_it}
        known = {name: each.seconds_to_import for name, each in self._known.items()}
        return known | {name: seconds for name, seconds in ready.items() if seconds is not None}

    def introduction(self, framework: Framework) -> Mapping[str, Any]:
        """Wait for a framework's process; return what it said when it was ready.

        Raises:
            WorkerFailed: if it does not get there.
        """
        return self._crew(framework).introduced().introduction

    def ask(self, framework: Framework, header: Mapping[str, object], arrays: Mapping[str, ndarray]) -> Message:
        """Ask a framework's process, unless it was asked before; keep what it answers."""
        if self._cache is None or not (key := self._cache.key(framework, header, arrays)):
            return self._ask_process(framework, header, arrays)[0]
        if (cached := self._cache.get(key)) is not None:
            if not self._is_here(framework):
                self._crew(framework).expect(-1)
            with self._guard:
                self.cached += 1
                self._known[framework.name] = cached
            return cached.answer
        if self._is_here(framework):
            from harness.execution.processes.here import answered_here  # with the reference

            found = CachedAnswer(answered_here(header, arrays), {"numpy": np.__version__}, 0.0)
            with self._guard:
                self._known[framework.name] = found
        else:
            answer, process = self._ask_process(framework, header, arrays)
            assert process.seconds_to_import is not None, "it has answered"
            self._cache.trace(framework)
            found = CachedAnswer(answer, process.versions, process.seconds_to_import)
        self._cache.put(key, found)
        return found.answer

    def _ask_process(
        self, framework: Framework, header: Mapping[str, object], arrays: Mapping[str, ndarray]
    ) -> tuple[Message, WorkerProcess]:
        return self._crew(framework).ask(header, arrays)

    def _is_here(self, framework: Framework) -> bool:
        return self._numpy_here and framework.name == NUMPY.name and not framework.program

    def _crew(self, framework: Framework) -> Crew:
        with self._guard:
            if framework.name not in self._crews:
                self._crews[framework.name] = Crew(framework, self.jobs)
                if self._ended:
                    self._crews[framework.name].kill()
            return self._crews[framework.name]

    def _there(self) -> list[tuple[str, list[WorkerProcess]]]:
        return [(name, crew.processes) for name, crew in list(self._crews.items())]

    def end(self) -> None:
        """End every process now, and with it whatever is still asked of it."""
        with self._guard:
            self._ended = True
            crews = list(self._crews.values())
        for crew in crews:
            crew.kill()
        for crew in crews:
            crew.close()
        if self._cache is not None:
            self._cache.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
