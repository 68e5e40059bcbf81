"""The process of a user's own file: imports it, then tries its implementation out, problem by problem.

Nothing else runs a user's code for the command line. It is started without arguments, often before the name of the
file is known, and its first message names the file, the function and the time limit.
"""

from __future__ import annotations

import errno
import faulthandler
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import system
from harness.candidate import lookout
from harness.candidate.trial import try_out
from harness.candidate.userfile import FileRefused, UserFile, tracebacks
from harness.candidate.userfile.loading import Offer, forget, line_of, load
from harness.derive.stepping import StepError
from harness.execution.processes.child import end_with_parent, opened_channel, version_of
from harness.execution.processes.launching import DUMP
from harness.execution.processes.messages import of_answer, of_low_precision, to_problem
from harness.execution.processes.transport import Channel, ChannelClosedError, Message
from harness.implementations import Implementation, ImplementationNames, Unsupported
from harness.problem import Problem
from harness.recurrences import DeclarationError, Recurrence
from harness.result.returned import NotReadable
from harness.terminal.text import fit

FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax", "cupy", "numba")
"""Modules with a reported version, if the file has imported them."""

NO_FILES = (
    "code here set this process's limit of open files to 0 (resource.RLIMIT_NOFILE), so that no answer can be sent; "
    "raise the limit again before you return"
)
"""The last words of a process that may not even wait for a pipe."""

_Answer = tuple[dict[str, Any], dict[str, Any]]


def main() -> None:
    """Serve one file until the harness is gone."""
    channel = opened_channel()
    end_with_parent()
    system.in_forks(faulthandler.disable)  # where a process of the user's own was is not asked
    lookout.watch_children()
    try:
        first = channel.receive().header
        file = UserFile(first["shown"], Path(first["path"]), first["function"])
        _serve(file, channel, _Clock(first["limit"], system.opened(os.environ[DUMP])))
    except ChannelClosedError:
        sys.exit("the pipe for answers is closed: the harness is gone, or code here closed what it did not open")
    except OSError as error:
        if error.errno != errno.EINVAL or system.may_open_files():
            raise
        sys.exit(NO_FILES)


def _serve(file: UserFile, channel: Channel, clock: _Clock) -> None:
    """Import the file and say what it offers; then answer request by request, without end."""
    start = time.perf_counter()
    clock.start()
    try:
        found = load(file)
    except FileRefused as refused:
        channel.answer({"refused": str(refused), "detail": refused.detail, "versions": {}, "seconds": 0.0})
        return
    clock.stop()
    versions = {each: version_of(each) for each in FRAMEWORKS if each in sys.modules}
    seconds = time.perf_counter() - start
    server = _Server(file, found)
    offered = [_described(each) for each in found.implementations]
    of_recurrences = [each.declared for each in found.recurrences.values()]
    channel.answer({"versions": versions, "seconds": seconds, "offered": offered, "recurrences": of_recurrences})
    while True:
        request = channel.receive()
        clock.start()
        header, arrays = server.answered(request)
        clock.stop()
        channel.answer(header, arrays)


class _Clock:
    """Ends the process when its time is over; whatever ends it by a signal, where it was is written to a file.

    Args:
        limit: how many seconds there are.
        dump: the descriptor of the file, which is no place that the user's code prints to.
    """

    def __init__(self, limit: float, dump: int) -> None:
        self.limit = limit
        self.dump = dump

    def start(self) -> None:
        """Begin to count, whatever the user's code has made of the handler."""
        faulthandler.enable(self.dump)
        faulthandler.dump_traceback_later(self.limit, exit=True, file=self.dump)

    def stop(self) -> None:
        """Count no longer."""
        faulthandler.cancel_dump_traceback_later()


class _Server:
    """Answers requests with a file's implementation; imports the file anew when state may have been left behind."""

    def __init__(self, file: UserFile, found: Offer) -> None:
        self.file = file
        self.found: Offer | None = found

    def answered(self, request: Message) -> _Answer:
        """Try an implementation of the file out on a problem, or answer what is asked of its recurrences."""
        if self.found is None:
            forget(self.file)
            try:
                self.found = load(self.file)
            except FileRefused as refused:
                return {"status": "error", "reason": f"importing it again: {refused}", "detail": refused.detail}, {}
        do, recurrences = request.header["do"], self.found.recurrences
        if do == "cases":
            return _cases(recurrences[request.header["recurrence"]], request.header["problems"])
        if do == "load":
            return _loaded(request.header["names"])
        name = request.header.get("implementation")
        own = next((each for each in self.found.implementations if fit(each.name) == name), None)
        if own is None:
            from harness.execution.processes.answering import answered  # what recurrences alone need

            return answered(request, recurrences)
        if do == "low precision":
            return _in_low_precision(own, recurrences[own.recurrence])
        if do == "own":
            return _differentiated(own, to_problem(request, recurrences))
        header, arrays = _tried(own, to_problem(request, recurrences))
        if header["status"] == "error" or "second" in header:
            self.found = None  # what one case left behind is not to be held against the next
        return header, arrays


def _tried(found: Implementation, problem: Problem) -> _Answer:
    try:
        answer = try_out(found, problem, borrowing=True)
    except Unsupported as reason:
        return {"status": "unsupported", "reason": str(reason) or "no reason is given"}, {}
    except NotReadable as refused:
        return {"status": "error", "reason": str(refused)}, {}
    except BaseException as error:  # SystemExit and KeyboardInterrupt, too: it is the user's code that raised it
        return {"status": "error", **_told(error)}, {}
    header, arrays = of_answer(answer)
    if answer.failure is None:
        return {"status": "ok", **header}, arrays
    told = _told(answer.failure)
    return {
        "status": "error",
        **header,
        "reason": f"{answer.reason}: {told['reason']}",
        "detail": told["detail"],
    }, arrays


def _differentiated(found: Implementation, problem: Problem) -> _Answer:
    """Hold an implementation's gradients against its own loss."""
    from harness.candidate.own_forward import NoOwnLoss, own_derivatives

    try:
        if reason := found.reason_against(problem.case):
            raise Unsupported(reason)
        return {"status": "ok"}, own_derivatives(found, problem)
    except Unsupported as reason:
        return {"status": "unsupported", "reason": str(reason) or "no reason is given"}, {}
    except (NoOwnLoss, NotReadable) as refused:
        return {"status": "error", "reason": str(refused)}, {}
    except BaseException as error:
        return {"status": "error", **_told(error)}, {}


def _in_low_precision(found: Implementation, recurrence: Recurrence) -> _Answer:
    """Check an implementation by the rounding that it declares."""
    from harness.low_precision import NoAnswerError, checked

    try:
        return {"status": "ok", **of_low_precision(checked(found, recurrence))}, {}
    except Unsupported as reason:
        return {"status": "unsupported", "reason": str(reason) or "no reason is given"}, {}
    except NoAnswerError as failed:
        told = _told(failed.__cause__)["detail"] if failed.__cause__ else ""
        return {"status": "error", "reason": str(failed), "detail": told}, {}
    except BaseException as error:
        return {"status": "error", **_told(error)}, {}


def _told(error: BaseException) -> dict[str, str]:
    """Say what the user's code raised; a mistake of ours, without a line of the user's, in full."""
    return {"reason": tracebacks.line_of(error), "detail": tracebacks.from_users_line_on(error)}


def _cases(recurrence: Recurrence, problems: Sequence[Mapping[str, Any]]) -> _Answer:
    """Return the cases that are made for a recurrence, or those of some draws; or why its step cannot be run."""
    from harness.case.recurrent import Draw, case_of
    from harness.problem.configurations import configurations

    try:
        drawn = [case_of(recurrence, Draw(**each["draw"]), each["sizes"]) for each in problems]
        return {"status": "ok", "cases": [each.to_plain() for each in drawn or configurations(recurrence)]}, {}
    except (StepError, DeclarationError) as refused:
        return {"status": "error", "reason": str(refused)}, {}
    except BaseException as error:
        return {"status": "error", **_told(error)}, {}


def _loaded(names: Sequence[str]) -> _Answer:
    """Return the cases that have some names, which may be of recurrences of the file, and the mistakes in others."""
    from harness.case import load

    found = load(names, ImplementationNames())
    cases, mistakes = ([each.to_plain() for each in found.cases], [vars(each) for each in found.mistakes])
    return {"status": "ok", "cases": cases, "mistakes": mistakes}, {}


def _described(found: Implementation) -> dict[str, Any]:
    return {
        "name": found.name,
        "function": getattr(found.function, "__name__", type(found.function).__name__),
        "line": line_of(found.function),
        "layout": found.layout,
        "supports": {name: list(values) for name, values in found.supports.items()},
        "complete": found.complete,
        "about": found.about,
        "recurrence": found.recurrence,
        "rounds": found.rounds if isinstance(found.rounds, str) else dict(found.rounds),
    }


if __name__ == "__main__":
    main()
