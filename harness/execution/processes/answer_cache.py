"""Cached answers of worker processes: a question that was answered before starts no process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from numpy import ndarray

from harness.execution.cache import Store, environment_of, place, sources_of, stamp_of_sources
from harness.execution.cache.dependence import OURS
from harness.execution.cache.digests import digest_of
from harness.execution.cache.store import key_of
from harness.execution.processes.launching import ONE_THREAD
from harness.execution.processes.transport import Message, NotAMessage, decoded, described
from harness.implementations import NUMPY, Framework, implementation_named, implementations, initialisers
from harness.implementations.certified import FLINT

NOTHING_DEPENDS_ON = ("name", "file", "about", "implementations", "tolerance", "nonfinite", "expect", "because")
"""Fields of a case that say how it is named, run and judged, and not what is computed."""

WORKER = ("harness.execution.processes.messages", "harness.execution.processes.child")
OF_TRAINING = ("harness.training.running",)
OF_ANSWERS = ("harness.result",)
SOURCES = {
    "rounding_noise": ("harness.training.noise",),
    "floor": ("harness.precision.error_floor",),
    "explain": ("harness.diagnosis.recurrent.explaining",),
}
"""The modules that answer, by the kind of question; the implementation answers the others."""

CACHED = ("ok", "unsupported")
"""An error may be the machine's, and is tried again."""


@dataclass(frozen=True)
class CachedAnswer:
    """An answer of the cache.

    Attributes:
        answer: the message.
        versions: of the modules of the process that gave it.
        seconds_to_import: how long they took to import then.
    """

    answer: Message
    versions: Mapping[str, str]
    seconds_to_import: float


class AnswerCache:
    """The cache of the answers of worker processes, by question.

    Args:
        run: the name of the run; a new one by default.
        anew: whether the answers of other runs are passed over.
        store: their folder; this user's cache unless given.
    """

    def __init__(self, *, run: str = "", anew: bool = False, store: Store | None = None) -> None:
        self.store = Store(place(), run=run, own_alone=anew) if store is None else store
        self._traced = set[str]()
        self._sources: dict[str, str] = {}

    def key(
        self,
        framework: Framework,
        header: Mapping[str, Any],
        arrays: Mapping[str, ndarray],
        environment: str | None = None,
    ) -> str:
        """Return the key of a question: all that its answer depends on.

        Empty where that is not known: for a user's file, and for what another package offers.

        Args:
            framework: the framework of the process that is asked.
            header: the question.
            arrays: its arrays.
            environment: what ``runs_on`` returns where it is answered; None for here.
        """
        if framework.program or not _is_ours(header.get("implementation", "")):
            return ""
        case = header.get("case")
        content = {**header, "case": None if case is None else _computed(case)}
        asked, _ = described(content, arrays)
        environment = runs_on(framework.name) if environment is None else environment
        of_arrays = [digest_of(array) for array in arrays.values()]
        return key_of(asked, environment.encode(), self._answering(*_asked(header)).encode(), *of_arrays)

    def get(self, key: str) -> CachedAnswer | None:
        """Return the cached answer to a question; None if there is none."""
        content = self.store.get(key)
        if content is None:
            return None
        try:
            message = decoded(content)
        except NotAMessage:  # by another version
            return None
        header = dict(message.header)
        origin = header.pop("kept")
        return CachedAnswer(Message(header, message.arrays), origin["versions"], origin["seconds_to_import"])

    def put(self, key: str, answered: CachedAnswer) -> None:
        """Cache the answer to a question, if it would be the same again."""
        answer = answered.answer
        if answer.header["status"] not in CACHED:
            return
        origin = {"versions": dict(answered.versions), "seconds_to_import": answered.seconds_to_import}
        header, buffers = described({**answer.header, "kept": origin}, answer.arrays)
        self.store.put(key, [header, *buffers])

    def knows(self, framework: Framework) -> bool:
        """Return whether the present source of a framework's implementations was ever asked a question here."""
        return not framework.program and self.store.get(self._trace(framework)) is not None

    def trace(self, framework: Framework) -> None:
        """Record that the present source of a framework's implementations was asked something."""
        if framework.name not in self._traced:
            self._traced.add(framework.name)
            self.store.put(self._trace(framework), [b""])

    def close(self) -> None:
        """Hold the store to its size, if something came to it."""
        if self.store.written:
            self.store.trim()

    def _answering(self, do: str, implementation: str, trains: bool) -> str:
        """Return a digest of the source that answers a question, which is kept until any source changes."""
        modules = _modules(do, implementation, trains)
        key = key_of(b"sources", stamp_of_sources().encode(), "\n".join(modules).encode())
        if (known := self._sources.get(key)) is not None:
            return known
        kept = self.store.get(key)
        found = sources_of(modules) if kept is None else bytes(kept).decode()
        if kept is None:
            self.store.put(key, [found.encode()])
        self._sources[key] = found
        return found

    def _trace(self, framework: Framework) -> str:
        there = implementations().values()
        names = [each.name for each in there if each.framework.name == framework.name and _is_ours(each.name)]
        answering = [self._answering("run", name, trains=False) for name in names]
        return key_of(runs_on(framework.name).encode(), *(each.encode() for each in answering))


def _is_ours(implementation: str) -> bool:
    chosen = implementation_named(implementation) if implementation else None
    return chosen is None or chosen.function.__module__.partition(".")[0] in OURS


def _computed(case: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in case.items() if name not in NOTHING_DEPENDS_ON}


def _asked(header: Mapping[str, Any]) -> tuple[str, str, bool]:
    """Return what is asked, of which implementation, and whether it trains."""
    do = header["do"]
    if do == "initial_weights":
        return do, initialisers()[header["framework"]].name, False
    return do, header.get("implementation", ""), header["case"]["training"] != "none"


def _modules(do: str, implementation: str, trains: bool) -> tuple[str, ...]:
    """Return the modules that answer a question."""
    modules: Iterable[str] = SOURCES.get(do, ())
    if implementation:
        chosen = implementation_named(implementation)
        assert chosen is not None, implementation
        own = chosen.initial_weights if do == "initial_weights" else chosen.function
        modules = [chosen.function.__module__, own.__module__, *(OF_TRAINING if trains else OF_ANSWERS)]
    return (*modules, *WORKER)


@cache
def runs_on(framework: str) -> str:
    """Return a digest of what a framework's process runs on here: Python, processor, packages, threads."""
    chosen = next((each for each in (NUMPY, FLINT) if each.name == framework), None) or next(
        each.framework for each in implementations().values() if each.framework.name == framework
    )
    threads = {name: os.environ.get(name, default) for name, default in ONE_THREAD.items()}
    return key_of(environment_of(chosen.modules, {**threads, **chosen.environment}).encode())
