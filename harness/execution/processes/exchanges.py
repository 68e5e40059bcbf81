"""Questions that are answered elsewhere: recorded there, sent in one message, and replayed here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy import ndarray

from harness.execution.processes.answer_cache import AnswerCache, CachedAnswer
from harness.execution.processes.asking import Asking
from harness.execution.processes.process import WorkerFailed
from harness.execution.processes.transport import Message
from harness.implementations import Framework


@dataclass(frozen=True)
class Exchange:
    """A question and what came of it.

    Attributes:
        question: what ``question_of`` makes of its header.
        framework: the name of the framework that was asked.
        answer: None if there was none.
        failure: why there was none.
    """

    question: str
    framework: str
    answer: Message | None = None
    failure: WorkerFailed | None = None


def question_of(header: Mapping[str, Any]) -> str:
    """Return a key that distinguishes a question from the others about the same problem."""
    return json.dumps({name: value for name, value in header.items() if name != "case"}, sort_keys=True)


class ExchangeRecorder(Asking):
    """Passes questions on, and records every exchange.

    Args:
        asking: answers the questions.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self.exchanges: list[Exchange] = []

    def ask(self, framework: Framework, header: Mapping[str, object], arrays: Mapping[str, ndarray]) -> Message:
        """Ask, and record."""
        question = question_of(header)
        try:
            answer = self._asking.ask(framework, header, arrays)
        except WorkerFailed as failure:
            self.exchanges.append(Exchange(question, framework.name, failure=failure))
            raise
        self.exchanges.append(Exchange(question, framework.name, answer))
        return answer


def of_exchanges(exchanges: Sequence[Exchange]) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """Return the header and the arrays of exchanges."""
    described: list[dict[str, Any]] = []
    arrays: dict[str, ndarray] = {}
    for number, each in enumerate(exchanges):
        one: dict[str, Any] = {"question": each.question, "framework": each.framework}
        if each.answer is not None:
            one["answer"] = dict(each.answer.header)
            arrays |= {f"{number}:{name}": array for name, array in each.answer.arrays.items()}
        if (failure := each.failure) is not None:
            one["failure"] = [failure.reason, failure.detail, failure.said, failure.timed_out]
        described.append(one)
    return {"exchanges": described}, arrays


def to_exchanges(message: Message) -> list[Exchange]:
    """Return the exchanges that a message holds."""
    by_number: list[dict[str, ndarray]] = [{} for _ in message.header["exchanges"]]
    for name, array in message.arrays.items():
        number, _, of_answer = name.partition(":")
        by_number[int(number)][of_answer] = array
    found = []
    for one, arrays in zip(message.header["exchanges"], by_number, strict=True):
        answer = Message(one["answer"], arrays) if "answer" in one else None
        failure = None
        if "failure" in one:
            reason, detail, said, timed_out = one["failure"]
            failure = WorkerFailed(reason, detail, said, timed_out=timed_out)
        found.append(Exchange(one["question"], one["framework"], answer, failure))
    return found


@dataclass(frozen=True)
class Place:
    """The place that answers questions.

    Attributes:
        environments: for each framework what ``runs_on`` returns there.
        versions: for each framework that is ready, those of its modules.
        seconds_to_import: how long they took to import.
    """

    environments: Mapping[str, str]
    versions: Mapping[str, Mapping[str, str]]
    seconds_to_import: Mapping[str, float]


class Replayed(Asking):
    """Replays the answers to questions that were asked elsewhere, and keeps them.

    Args:
        exchanges: what was asked and answered.
        place: where.
        cache: the cache.
    """

    def __init__(self, exchanges: Sequence[Exchange], place: Place, cache: AnswerCache) -> None:
        self._exchanges = {(each.framework, each.question): each for each in exchanges}
        self._place = place
        self._cache = cache

    def ask(self, framework: Framework, header: Mapping[str, object], arrays: Mapping[str, ndarray]) -> Message:
        """Return what was answered."""
        exchange = self._exchanges[framework.name, question_of(header)]
        if exchange.failure is not None:
            raise exchange.failure
        assert exchange.answer is not None
        environment = self._place.environments[framework.name]
        if key := self._cache.key(framework, header, arrays, environment):
            there, name = self._place, framework.name
            self._cache.put(key, CachedAnswer(exchange.answer, there.versions[name], there.seconds_to_import[name]))
        return exchange.answer


class Lost(Asking):
    """Raises the same reason for every question.

    Args:
        reason: the reason.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def ask(self, framework: Framework, header: Mapping[str, object], arrays: Mapping[str, ndarray]) -> Message:
        """Raise the reason."""
        del framework, header, arrays
        raise WorkerFailed(self._reason, "")


class NotCached(Exception):
    """No answer to a question is cached."""


class FromCache(Asking):
    """Answers from the cache, wherever the answer was computed.

    Args:
        cache: the cache.
        environments: the result of ``runs_on`` for each framework, at each place with valid answers.
    """

    def __init__(self, cache: AnswerCache, environments: Sequence[Mapping[str, str]]) -> None:
        self._cache = cache
        self._environments = environments
        self.cached: dict[str, CachedAnswer] = {}

    def ask(self, framework: Framework, header: Mapping[str, object], arrays: Mapping[str, ndarray]) -> Message:
        """Return the cached answer.

        Raises:
            NotCached: if no answer is.
        """
        for environment in dict.fromkeys(each[framework.name] for each in self._environments):
            key = self._cache.key(framework, header, arrays, environment)
            if key and (cached := self._cache.get(key)) is not None:
                self.cached[framework.name] = cached
                return cached.answer
        raise NotCached
