"""A search: processes screen batches of random cases side by side; suspects are confirmed, shrunk and written."""

from __future__ import annotations

import itertools
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from harness.execution.processes import WorkerFailed
from harness.execution.processes.process import START_LIMIT, WorkerProcess
from harness.fuzz.candidates import Drawing, case_of, groups
from harness.fuzz.confirming import Confirmer, WrongAnswer
from harness.fuzz.drawing import Data
from harness.fuzz.shrinking import shrunk
from harness.fuzz.writing import name_of, write
from harness.implementations import Framework, Implementation
from harness.system import processors

BATCH = 25
"""Number of cases that a process screens for one request."""

LIMIT = 60.0
"""Maximum seconds of a batch."""

MORE_THAN_ONCE = 3
"""Number of times that a suspect is run again if it is not confirmed."""


@dataclass(frozen=True)
class Found:
    """A wrong answer that a search found.

    Attributes:
        number: The number of the case in which it was first seen.
        wrong: The wrong answer to the smallest case.
        file: The smallest case; None if it was not seen again, so that it cannot be shrunk.
    """

    number: int
    wrong: WrongAnswer
    file: Path | None


@dataclass
class FuzzSearch:
    """The results of a search so far.

    Attributes:
        seed: The seed.
        cases: The number of cases that were run.
        compared: For each implementation, the number of cases on which it was compared with the baseline.
        suspected: The number of answers that were suspected and turned out to match.
        found: The wrong answers, at most one for each implementation.
        seconds: The run time in seconds, without the import of frameworks.
    """

    seed: int
    cases: int = 0
    compared: Counter[str] = field(default_factory=Counter)
    suspected: int = 0
    found: list[Found] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class ScreeningAnswer:
    """The answer of a process to a batch.

    Attributes:
        names: The names of the requested implementations.
        header: The answer; empty if the process failed.
        failure: The failure, if any.
    """

    names: Sequence[str]
    header: Mapping[str, Any]
    failure: WorkerFailed | None = None


class Screens:
    """The processes that screen cases for one framework, side by side; a batch goes to a free one."""

    def __init__(
        self, framework: Framework, names: Sequence[str], count: int, drawing: Drawing, baseline: Implementation
    ) -> None:
        program = ("-m", "harness.fuzz.process", framework.name)
        self.framework = replace(framework, program=program, limit=START_LIMIT)
        self.names = list(names)
        self._header = {
            "seed": drawing.seed,
            "fixed": dict(drawing.fixed),
            "frameworks": list(drawing.frameworks),
            "baseline": baseline.name,
        }
        self._free = [WorkerProcess(self.framework) for _ in range(count)]
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix="screen")
        self._ended = False

    def wait_until_ready(self) -> None:
        """Wait until every process has imported its framework.

        Raises:
            WorkerFailed: If a process cannot import it.
        """
        for process in self._free:
            process.wait_until_ready()

    def ask(self, numbers: range) -> Future[ScreeningAnswer]:
        """Send a batch to be screened; a failure of the process is an answer, too."""
        return self._pool.submit(self._ask, numbers, list(self.names))

    def _ask(self, numbers: range, names: list[str]) -> ScreeningAnswer:
        header = {**self._header, "first": numbers.start, "last": numbers.stop, "implementations": names}
        process = self._free.pop()
        try:
            return ScreeningAnswer(names, dict(process.ask(header, {}, limit=LIMIT).header))
        except WorkerFailed as failure:
            if not self._ended:
                process = WorkerProcess(self.framework)
            return ScreeningAnswer(names, {}, failure)
        finally:
            self._free.append(process)

    def end(self) -> None:
        """End every process."""
        self._ended = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in list(self._free):
            process.kill()
        self._pool.shutdown(wait=True)
        for process in self._free:
            process.close()


class Limit(NamedTuple):
    """The end of a search: whichever comes first; None for no limit."""

    cases: int | None = None
    seconds: float | None = None


def search(
    drawing: Drawing,
    implementations: Sequence[Implementation],
    baseline: Implementation,
    folder: Path,
    limit: Limit,
    show: Callable[[FuzzSearch], None] = lambda _: None,
) -> FuzzSearch:
    """Run random cases through implementations, up to a limit.

    An implementation that was found wrong is not searched further; the rest of the search is for the others.

    Args:
        drawing: The parameters and the seed of the cases.
        implementations: The implementations to search, which may include the baseline.
        baseline: The implementation with which they are compared.
        folder: The folder for found cases.
        limit: The limit of the search.
        show: A function that receives the results so far.

    Raises:
        WorkerFailed: If a framework cannot be imported.
    """
    others = [each for each in implementations if each.name != baseline.name]
    by_framework = groups(others or [baseline])
    count = max(1, processors() // len(by_framework))
    done = FuzzSearch(drawing.seed)
    screens = [Screens(each, [one.name for one in group], count, drawing, baseline) for each, group in by_framework]
    try:
        with Confirmer(baseline, others) as confirmer:
            for each in screens:
                each.wait_until_ready()
            start = time.perf_counter()
            deadline = None if limit.seconds is None else start + limit.seconds
            inspector = Inspector(drawing, confirmer, screens, folder, done)
            for numbers, answers in _batches(screens, limit.cases, deadline, 2 * count):
                inspector.look(numbers, answers)
                done.cases += len(numbers)
                done.seconds = time.perf_counter() - start
                show(done)
                if not any(each.names for each in screens):  # all were found to be wrong
                    break
    finally:
        for each in screens:
            each.end()
    return done


def _batches(
    screens: Sequence[Screens], cases: int | None, deadline: float | None, ahead: int
) -> Iterator[tuple[range, list[ScreeningAnswer]]]:
    """Yield the numbers of each batch with the answers of each framework's processes."""
    starts = iter(itertools.count(0, BATCH) if cases is None else range(0, cases, BATCH))
    batch_of: dict[Future[ScreeningAnswer], range] = {}
    waiting: dict[range, list[Future[ScreeningAnswer]]] = {}
    while True:
        while len(waiting) <= ahead and (deadline is None or time.perf_counter() < deadline):
            if (first := next(starts, None)) is None:
                break
            numbers = range(first, first + BATCH if cases is None else min(first + BATCH, cases))
            waiting[numbers] = [each.ask(numbers) for each in screens]
            batch_of |= dict.fromkeys(waiting[numbers], numbers)
        if not waiting:
            return
        finished, _ = wait(batch_of, return_when=FIRST_COMPLETED)
        for numbers in dict.fromkeys(batch_of.pop(each) for each in finished):
            if all(each.done() for each in waiting[numbers]):
                yield numbers, [each.result() for each in waiting.pop(numbers)]


class Inspector:
    """The inspection of suspects: run their cases again, shrink the wrong ones, and write them.

    Args:
        drawing: The parameters of the cases.
        confirmer: The runner that runs them again.
        screens: The processes, with the implementations that are still searched.
        folder: The folder for found cases.
        done: The results, to which wrong answers are added.
    """

    def __init__(
        self, drawing: Drawing, confirmer: Confirmer, screens: Sequence[Screens], folder: Path, done: FuzzSearch
    ) -> None:
        self.drawing = drawing
        self.confirmer = confirmer
        self.screens = screens
        self.folder = folder
        self.done = done

    def look(self, numbers: range, answers: Sequence[ScreeningAnswer]) -> None:
        """Confirm the suspects of a batch; if a process failed, run all of the batch's cases again."""
        for screen, answer in zip(self.screens, answers, strict=True):
            while answer.failure is not None and set(answer.names) != set(screen.names):
                answer = screen.ask(numbers).result()  # an implementation found meanwhile may be the cause
            if answer.failure is not None:
                seen_again = [self._confirm(number, list(screen.names)) for number in numbers]
                if not any(seen_again):
                    where = f"on one of the cases {numbers.start} to {numbers.stop - 1}"
                    wrong = WrongAnswer(
                        ", ".join(screen.names), "error", f"{answer.failure.reason}, {where}; not seen again"
                    )
                    self.done.found.append(Found(numbers.start, wrong, None))
                continue
            self.done.compared.update(answer.header["compared"])
            for number in answer.header["elsewhere"]:
                self._confirm(number, list(screen.names))
            for number, name in answer.header["suspects"]:
                if self._is_searched(name) and not self._confirm(number, [name]):
                    self.done.suspected += 1

    def _is_searched(self, name: str) -> bool:
        baseline = self.confirmer.baseline.name
        found = [each.wrong.implementation for each in self.done.found]
        return name not in found and (name == baseline or any(name in screen.names for screen in self.screens))

    def _confirm(self, number: int, names: list[str]) -> bool:
        """Run a case again and shrink it for each wrong implementation; return whether any is wrong."""
        wrong = [each for each in self._wrong(self.drawing.of(number), names) if self._is_searched(each.implementation)]
        for each in wrong:
            self._add(self._shrunk(number, each))
        return bool(wrong)

    def _wrong(self, case: Any, names: list[str]) -> list[WrongAnswer]:
        for _ in range(MORE_THAN_ONCE):
            if found := self.confirmer.wrong(case, names):
                return found
        return []

    def _add(self, found: Found) -> None:
        self.done.found.append(found)
        for screen in self.screens:
            screen.names = [name for name in screen.names if name != found.wrong.implementation]

    def _shrunk(self, number: int, wrong: WrongAnswer) -> Found:
        name = wrong.implementation

        def same(data: Data) -> WrongAnswer | None:
            found = self.confirmer.wrong(case_of(data, f"fuzz[seed={self.drawing.seed},case={number}]"), [name])
            return next((each for each in found if (each.implementation, each.verdict) == (name, wrong.verdict)), None)

        data = shrunk(self.drawing.choices(number), self.drawing.data, lambda data: same(data) is not None)
        everybody = [each.name for each in self.confirmer.implementations]
        seen = self.confirmer.wrong(case_of(data, "found"), everybody)
        of_it = next((each for each in seen if each.implementation == name), wrong)
        path = self.folder / f"{name_of(data, name)}.yaml"
        command = f"harness fuzz --seed {self.drawing.seed}"
        remarks = [
            f"Found by `{command}`, in case {number}, and shrunk to this.",
            *(f"{each.implementation}: {each.verdict}: {each.what}" + (f" ({each.side})" if each.side else "")
              for each in seen or [of_it]),
            f"next: {shlex.join(['harness', 'run', str(path), '--impl', name])}",
        ]  # fmt: skip
        write(data, f"Found by {command}, {name}: {of_it.verdict}.", remarks, path)
        return Found(number, of_it, path)
