"""An answer: a result or the reason why it is missing, with remarks."""

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
        reason: The reason in one line, if the status is not ``ok``.
        detail: The traceback, or the last lines of the process's standard error.
        second: The result of a second call, if it differs; None if it is the same to the bit.
        remarks: Facts to report before the numbers.
        said: The text that it printed.
        failure: The exception of a second call or of a step of training, if it was called in this process.
    """

    status: Status
    result: Result | None = None
    reason: str = ""
    detail: str = ""
    second: Result | None = None
    remarks: tuple[Remark, ...] = ()
    said: str = ""
    failure: BaseException | None = None
