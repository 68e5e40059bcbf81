"""A user's file as an implementation that runs in a process of its own. Nothing of the file runs here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.candidate.userfile import FileRefused, UserFile
from harness.case import Loaded, ValidCase
from harness.casefile import Mistake
from harness.execution.processes import WorkerFailed, Workers
from harness.execution.processes.launching import USER_FILE
from harness.implementations import Framework, Implementation, Returned, implementations, is_taken, missing_modules
from harness.problem import Problem

DERIVED = "derived"
"""The baseline of recurrences."""

ORACLES = {"complex-step": "which has no backward pass,", "certified": "whose digits are proven,"}
"""The implementations that the baseline of a recurrence is checked against, with the reason for each."""

RESTARTS = 1000
"""A user's process that crashes is started again for the next case, whatever it does."""


@dataclass(frozen=True)
class Candidate:
    """The content of a file that can be checked.

    Attributes:
        implementations: for ``Workers``; their functions are in the file's process.
        place: file, line and function, as ``my_rnn.py:5 my_bptt``; of several, those of all.
        said: the output of the file during its import.
        recurrences: the names of the recurrences to make problems of; empty if the implementation is of networks.
    """

    implementations: tuple[Implementation, ...]
    place: str
    said: str
    recurrences: tuple[str, ...] = ()


def process_of(file: UserFile, limit: float) -> Framework:
    """Return the process of a file.

    Args:
        file: the file.
        limit: how many seconds the import, and later each case, may take.
    """
    first: dict[str, str | float] = {
        "path": str(file.path),
        "shown": file.shown,
        "function": file.function,
        "limit": limit,
    }
    return Framework(
        file.shown, (), install="", program=USER_FILE, limit=limit, restarts=RESTARTS, first=first, of_user=True
    )


def introduced(file: UserFile, process: Framework, workers: Workers) -> Candidate:
    """Import a file in its process, and return its content.

    Args:
        file: the file.
        process: its process.
        workers: the owner of the process.

    Raises:
        FileRefused: if it cannot be imported, has no such implementation, or one by a name that is taken.
    """
    try:
        answer = workers.introduction(process)
    except WorkerFailed as failure:
        detail = "\n".join(filter(None, [failure.said.rstrip(), failure.detail]))
        raise FileRefused(f"{file.shown} could not be imported: {failure.reason}", detail) from None
    if "refused" in answer:
        raise FileRefused(answer["refused"], (answer["said"] + answer["detail"]).rstrip())
    found = [_implementation(file, process, each) for each in answer["offered"]]
    places = [f"{_place(file, each)} {each['function']}" for each in answer["offered"]]
    recurrences = tuple(each["name"] for each in answer["recurrences"])
    place = ", ".join(places) or f"{file.shown} {', '.join(recurrences)}"
    return Candidate(tuple(each.tried_out() for each in found), place, answer["said"], recurrences)


def routes(process: Framework) -> list[Implementation]:
    """Return the routes to the gradients of a recurrence in a file, run by its process: the baseline first."""
    return [replace(each, framework=process) for each in [implementations()[DERIVED], *oracles()]]


def oracles() -> list[Implementation]:
    """Return the installed oracles."""
    return [each for name in ORACLES if not missing_modules((each := implementations()[name]).framework)]


def made_cases(
    process: Framework, recurrences: Sequence[str], workers: Workers, problems: Sequence[Mapping[str, Any]] = ()
) -> list[ValidCase]:
    """Return the cases that the process of a file makes for its recurrences.

    Args:
        process: the process.
        recurrences: the names of the recurrences.
        workers: the owner of the process.
        problems: the ``draw`` and the ``sizes`` of each case to make; those of ``configurations`` if there are none.

    Raises:
        FileRefused: if a step cannot be run.
    """
    found: list[ValidCase] = []
    for name in recurrences:
        try:
            answer = workers.ask(process, {"do": "cases", "recurrence": name, "problems": list(problems)}, {})
        except WorkerFailed as failure:
            raise FileRefused(f"{name}: its step could not be run: {failure.reason}", failure.detail) from None
        if answer.header["status"] != "ok":
            raise FileRefused(answer.header["reason"], answer.header.get("detail", ""))
        found += [ValidCase.from_plain(each) for each in answer.header["cases"]]
    return found


def loaded_cases(process: Framework, names: Sequence[str], workers: Workers) -> Loaded:
    """Return the cases that have some names, as the process of a file loads them, which has the file's recurrences.

    Args:
        process: the process.
        names: files, folders or cases.
        workers: the owner of the process.

    Raises:
        FileRefused: if the process ends meanwhile.
    """
    try:
        answer = workers.ask(process, {"do": "load", "names": list(names)}, {}).header
    except WorkerFailed as failure:
        raise FileRefused(f"the cases could not be loaded: {failure.reason}", failure.detail) from None
    mistakes = [Mistake(**{**each, "path": tuple(each["path"])}) for each in answer["mistakes"]]
    return Loaded([ValidCase.from_plain(each) for each in answer["cases"]], mistakes)


def _place(file: UserFile, offered: Mapping[str, Any]) -> str:
    return file.shown if offered["line"] is None else f"{file.shown}:{offered['line']}"


def _implementation(file: UserFile, process: Framework, offered: Mapping[str, Any]) -> Implementation:
    if is_taken(offered["name"]):
        name = offered["name"]
        raise FileRefused(
            f"{_place(file, offered)}: {name!r} is the name of an implementation of the harness; choose another, "
            f"such as 'my-{name}'"
        )
    return Implementation(
        name=offered["name"],
        layout=offered["layout"],
        function=_elsewhere,
        framework=process,
        supports={name: tuple(values) for name, values in offered["supports"].items()},
        complete=offered["complete"],
        recurrence=offered["recurrence"],
        rounds=offered["rounds"],
        about=offered["about"],
    )


def _elsewhere(problem: Problem) -> Returned:
    """Stand for a function that only its file's own process has."""
    raise RuntimeError(f"the user's function runs in a process of its own, never here (on {problem.case.name})")
