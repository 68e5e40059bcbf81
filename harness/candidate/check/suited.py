"""Which of the cases that were asked for a user's file has an implementation of."""

from __future__ import annotations

from collections.abc import Sequence

from harness.candidate.check.candidate import Candidate
from harness.case import ValidCase
from harness.casefile import listed


def suited(candidate: Candidate, cases: Sequence[ValidCase], made: Sequence[ValidCase]) -> list[ValidCase]:
    """Return the cases that a file's implementations are of.

    Args:
        candidate: the file.
        cases: those that were asked for.
        made: those that were made for the recurrences of the file.
    """
    if not candidate.recurrences:
        return [case for case in cases if case.recurrence is None]
    steps = {_step(each) for each in made}
    return [case for case in cases if case.recurrence is not None and _step(case) in steps]


def reason_against(candidate: Candidate, case: ValidCase, shown: str) -> str:
    """Say why a file's implementations are not of a case, and what to do.

    Args:
        candidate: the file.
        case: none of those that ``suited`` returns.
        shown: the file as it is named.
    """
    of_case = f"{case.name} is a case of " + ("a network" if case.recurrence is None else f"the recurrence {case.cell}")
    if not candidate.recurrences:
        return (
            f"{of_case}, and {shown} has an implementation of networks of rnn, lstm and gru; write "
            f'@harness.implementation(..., recurrence="{case.cell}") for one of {case.cell}, or name other cases'
        )
    name = listed(candidate.recurrences)
    if case.cell in candidate.recurrences:
        return (
            f"{case.name} is a case of the library's {name}, and {shown} declares a {name} of its own; leave CASE out "
            "for problems made for it"
        )
    return (
        f"{of_case}, and {shown} is about the recurrence {name}; leave CASE out for problems made for it, or name a "
        f"case with `cell: {candidate.recurrences[0]}`"
    )


def _step(case: ValidCase) -> tuple[str, str]:
    """Return the name and the source of the step of a case."""
    assert case.recurrence is not None
    return case.cell, case.recurrence["source"]
