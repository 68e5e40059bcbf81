"""Answers the questions of whole cases for a harness on another machine; its frameworks stay warm in between.

A request and its answer are messages as they go between the harness and its workers: a JSON header and the bytes of
arrays. What is answered here is judged where it was asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness.execution.processes import WorkerFailed, Workers
from harness.execution.processes.exchanges import Exchange, ExchangeRecorder, Place, of_exchanges, to_exchanges
from harness.execution.processes.fingerprint import by_name, differences, fingerprint
from harness.execution.processes.messages import of_problem, to_problem
from harness.execution.processes.transport import Message, decoded, described
from harness.execution.session.running import answered
from harness.implementations import Implementation, implementations, missing_modules
from harness.problem import Problem

CALLS_FOR_EACH_CASE = 4


def of_case(problem: Problem, chosen: Sequence[Implementation]) -> bytes:
    """Return the request for all answers to a case."""
    header, arrays = of_problem(problem)
    return _packed({"asked": "case", "implementations": [each.name for each in chosen], **header}, arrays)


def of_question(framework: str, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> bytes:
    """Return the request for the answer to one question."""
    return _packed({"asked": "question", "framework": framework, "question": dict(header)}, arrays)


def to_answers(answer: bytes) -> tuple[Message, list[Exchange], Place]:
    """Return what a station answered: the message, what it holds, and where that was answered."""
    message = decoded(memoryview(answer))
    header = message.header
    place = Place(header["fingerprint"]["environments"], header["versions"], header["seconds_to_import"])
    return message, to_exchanges(message), place


class Station:
    """Processes for every framework that a run needs.

    Args:
        expected: the fingerprint of the harness that asks.
        questions: about how many questions each framework will be asked, by name.
        cases_at_once: how many cases are answered at a time.
        jobs: how many processes each framework may have.

    Attributes:
        refusal: why it cannot answer for that harness; empty if it can.
    """

    def __init__(
        self, expected: Mapping[str, Any], questions: Mapping[str, int], cases_at_once: int, jobs: int
    ) -> None:
        self._own = fingerprint(expected["environments"])
        self.refusal = "; ".join(differences(expected, self._own))
        self._workers = Workers(jobs=jobs)
        self._calls = ThreadPoolExecutor(CALLS_FOR_EACH_CASE * cases_at_once, thread_name_prefix="call")
        if self.refusal:
            return
        frameworks = [by_name()[name] for name in expected["environments"]]
        self._workers.start(each for each in frameworks if not missing_modules(each))
        for name, count in questions.items():
            self._workers.expect(by_name()[name], count)

    def answer(self, request: bytes) -> bytes:
        """Answer a request; one that cannot be answered is refused with the reason."""
        if self.refusal:
            return self._reply({"refused": self.refusal})
        message = decoded(memoryview(request))
        recording = ExchangeRecorder(self._workers)
        if message.header["asked"] == "case":
            chosen = [implementations()[name] for name in message.header["implementations"]]
            answered(to_problem(message), chosen, recording, self._calls)
        else:
            try:
                framework = by_name()[message.header["framework"]]
                recording.ask(framework, message.header["question"], message.arrays)
            except WorkerFailed:
                pass  # it was recorded
        return self._reply(*of_exchanges(recording.exchanges))

    def close(self) -> None:
        """End every process."""
        self._workers.end()
        self._calls.shutdown(wait=False, cancel_futures=True)

    def _reply(self, header: Mapping[str, Any], arrays: Mapping[str, Any] | None = None) -> bytes:
        where = {
            "fingerprint": self._own,
            "versions": self._workers.versions(),
            "seconds_to_import": self._workers.seconds_to_import(),
        }
        return _packed({"exchanges": [], **header, **where}, arrays or {})


def _packed(header: Mapping[str, Any], arrays: Mapping[str, Any]) -> bytes:
    start, buffers = described(header, arrays)
    return b"".join([start, *buffers])
