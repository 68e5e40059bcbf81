"""An answer: a result, or why there is none, and what was noticed on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.result.remark import Remark
from harness.result.result import Result

Status = Literal["ok", "unsupported", "error"]


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer of one implementation to one problem.

    Attributes:
        status: ``ok``, ``unsupported`` or ``error``.
        result: the result, if the status is ``ok``, or if only a second call or a step of training ended in an error.
        reason: one line, if it is not.
        detail: the traceback, or the last lines of the process's standard error.
        second: the result of a second call, if that is another; None if it is the same to the bit.
        remarks: facts to report before the numbers.
        said: the text that it printed.
        failure: the exception that a second call raised, or a step of training, where it was called in this process.
    """

    status: Status
    result: Result | None = None
    reason: str = ""
    detail: str = ""
    second: Result | None = None
    remarks: tuple[Remark, ...] = ()
    said: str = ""
    failure: BaseException | None = None
