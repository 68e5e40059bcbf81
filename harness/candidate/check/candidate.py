"""A user's file as an implementation that runs in a process of its own. Nothing of the file runs here."""

from __future__ import annotations

from dataclasses import dataclass

from harness.candidate.userfile import FileRefused, UserFile
from harness.execution.processes import WorkerFailed, Workers
from harness.implementations import Framework, Implementation, Returned, implementations
from harness.problem import Problem

RESTARTS = 1000
"""A user's process that crashes is started again for the next case, whatever it does."""


@dataclass(frozen=True)
class Candidate:
    """What a file offers.

    Attributes:
        implementation: for ``Workers``; its function is in the file's process.
        place: file, line and function, as ``my_rnn.py:5 my_bptt``.
        said: what the file printed when it was imported.
    """

    implementation: Implementation
    place: str
    said: str


def process_of(file: UserFile, limit: float) -> Framework:
    """Return the process of a file.

    Args:
        file: the file.
        limit: how many seconds the import, and later each case, may take.
    """
    program = ("-m", "harness.execution.processes.user_file", str(file.path), file.shown, file.function, str(limit))
    return Framework(file.shown, (), install="", program=program, limit=limit, restarts=RESTARTS, of_user=True)


def introduced(file: UserFile, process: Framework, workers: Workers) -> Candidate:
    """Have a file imported by its process, and return what it offers.

    Args:
        file: the file.
        process: its process.
        workers: who keeps the process.

    Raises:
        FileRefused: if it cannot be imported, has no such implementation, or one by a name that is taken.
    """
    try:
        answer = workers.introduction(process)
    except WorkerFailed as failure:
        detail = "\n".join(filter(None, [failure.said.rstrip(), failure.detail]))
        raise FileRefused(f"{file.shown}: it could not be imported: {failure.reason}", detail) from None
    if "refused" in answer:
        raise FileRefused(answer["refused"], (answer["said"] + answer["detail"]).rstrip())
    offered = answer["offered"]
    place = file.shown if offered["line"] is None else f"{file.shown}:{offered['line']}"
    if offered["name"] in implementations():
        name = offered["name"]
        raise FileRefused(
            f"{place}: {name!r} is the name of an implementation of the harness; choose another, such as 'my-{name}'"
        )
    implementation = Implementation(
        name=offered["name"],
        layout=offered["layout"],
        function=_elsewhere,
        framework=process,
        supports={name: tuple(values) for name, values in offered["supports"].items()},
        complete=offered["complete"],
        about=offered["about"],
    )
    return Candidate(implementation.tried_out(), f"{place} {offered['function']}", answer["said"])


def _elsewhere(problem: Problem) -> Returned:
    """Stand for a function that only its file's own process has."""
    raise RuntimeError(f"the user's function runs in a process of its own, never here (on {problem.case.name})")
