"""The harness's end of one worker process: started at once, asked when needed, ended with the harness."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import Any

from numpy import ndarray

from harness import system
from harness.execution.processes import answers, keeper
from harness.execution.processes.chatter import Chatter
from harness.execution.processes.launching import Launch
from harness.execution.processes.transport import (
    Channel,
    ChannelClosedError,
    ChannelTimeoutError,
    Message,
    NotAMessage,
)
from harness.implementations import Framework
from harness.terminal.text import fit_throughout

START_LIMIT = 300.0
"""Seconds that a framework may take to import."""

GRACE = 2.0
"""Seconds more for a process that ends itself when its time is over, and says where it was."""

MOST_DUMPED = 2**20
"""Bytes that are read of where a process was."""

NO_ANSWER = "did not answer within"
"""Part of the reason for which a process counts as hanging."""

_TAIL_LINES = 15


class WorkerFailed(Exception):
    """A worker ended, or did not answer in time.

    Attributes:
        reason: one line.
        detail: where it was, if that is known, else the last lines of its standard error.
        said: what it printed since the last answer.
        timed_out: whether it was ended because its time was over.
    """

    def __init__(self, reason: str, detail: str, said: str = "", *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.said = said
        self.timed_out = timed_out


class WorkerProcess:
    """One process of one framework. It begins to start when this object is made, and is waited for when it is asked.

    Args:
        framework: what it runs.
        launch: the process, if the system has started it already.
    """

    def __init__(self, framework: Framework, launch: Launch | None = None) -> None:
        self.framework = framework
        self.versions: dict[str, str] = {}
        self.introduction: Mapping[str, Any] = {}
        self.seconds_to_import: float | None = None
        self.seconds_to_start: float | None = None
        self._failed: WorkerFailed | None = None
        self._lock = threading.Lock()
        if launch is None:
            program = framework.program or ("-m", "harness.execution.processes", framework.name)
            launch = Launch(program, framework.environment, of_user=framework.of_user)
        self._begun, self._kept, self._started = launch.begun, launch.kept, launch.started
        self._process, self._dump, self._lifeline = self._started.process, self._started.dump, self._started.lifeline
        self._dumped = 0
        assert self._process.stdin
        assert self._process.stdout
        self._chatter = Chatter(self._started.printed)
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno(), self._chatter)
        self._channel.widen()
        if framework.first:
            with contextlib.suppress(ChannelClosedError):  # it has ended; the first wait for it sees how
                self._channel.send(framework.first)

    def ask(self, header: Mapping[str, Any], arrays: Mapping[str, ndarray], *, limit: float) -> Message:
        """Send a request and wait for its answer.

        Args:
            header: the request.
            arrays: its arrays.
            limit: how many seconds the answer may take.

        Returns:
            The answer; its header has what the process printed meanwhile as ``said``.

        Raises:
            WorkerFailed: if the process ends or the time is over. The process is then gone.
        """
        self.wait_until_ready()
        self._dumped = os.fstat(self._dump.fileno()).st_size
        try:
            self._channel.send(header, arrays, timeout=limit + GRACE)
            answer = self._received(limit, header)
        except (ChannelClosedError, ChannelTimeoutError) as error:
            raise self._failure(error, limit) from None
        return Message({**answer.header, "said": self._chatter.news()}, answer.arrays)

    def wait_until_ready(self) -> None:
        """Wait for the framework to be imported.

        Raises:
            WorkerFailed: if that fails.
        """
        if self._failed is not None:
            raise self._failed
        if self.seconds_to_import is not None:
            return
        limit = self.framework.limit if self.framework.program else START_LIMIT
        try:
            ready = self._received(limit, None)
        except (ChannelClosedError, ChannelTimeoutError) as error:
            raise self._failure(error, limit) from None
        self.introduction = {**ready.header, "said": self._chatter.news()}
        self.versions = dict(ready.header["versions"])
        self.seconds_to_import = float(ready.header["seconds"])
        self.seconds_to_start = time.perf_counter() - self._begun

    def kill(self) -> None:
        """End the process now, whatever it is doing, and those that it started.

        A request that is under way in another thread fails.
        """
        if self._kept:  # it ends what is below it first
            self._let_go()
        else:
            self._signal()

    def close(self) -> None:
        """End the process and let go of what belongs to it. No request may be under way; may be called again."""
        self.kill()
        try:
            self._process.wait(timeout=2 * keeper.PATIENCE)
        except subprocess.TimeoutExpired:
            self._signal()
            self._process.wait()
        self._let_go()
        self._started.close()

    def _let_go(self) -> None:
        """Close the lifeline, as happens by itself when the harness ends."""
        with self._lock:  # it must not be closed twice: its number may be another file's by now
            if self._lifeline is not None:
                os.close(self._lifeline)
                self._lifeline = None

    def _signal(self) -> None:
        if self._process.returncode is None:  # else its number may be another's by now
            system.end_group(self._process.pid)

    def _received(self, limit: float, request: Mapping[str, Any] | None) -> Message:
        """Wait for a message, and make its texts fit.

        Raises:
            ChannelClosedError: if the process ended.
            ChannelTimeoutError: if the time is over.
            NotAMessage: if it sends something else, or fields that are none of an answer's.
        """
        message = self._channel.receive(timeout=limit + GRACE)
        if mistake := answers.mistake(message.header, request):
            raise NotAMessage(mistake)
        return Message(fit_throughout(message.header), message.arrays)

    def _failure(self, error: Exception, limit: float) -> WorkerFailed:
        from harness.execution.processes.dumps import innermost, is_timeout, located

        timed_out, is_there = isinstance(error, ChannelTimeoutError), isinstance(error, NotAMessage)
        status = None
        if not timed_out and not is_there:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._process.wait(timeout=keeper.PATIENCE)
        said = self._chatter.news()
        dump = system.read_at(self._dump, MOST_DUMPED, self._dumped).decode(errors="replace")
        place = innermost(dump)
        if timed_out or is_timeout(dump):
            timed_out, reason = True, f"the {self.framework.name} process {NO_ANSWER} {limit:g} s"
        elif is_there:
            reason = f"the {self.framework.name} process sent something that is {error}"
        else:
            reason = f"the {self.framework.name} process {_ending(status)}"
        if place:
            reason += f"; it was at {place}"
        detail = located(dump) or self._chatter.end(_TAIL_LINES)
        self.close()
        self._failed = WorkerFailed(reason, detail, said, timed_out=timed_out)
        return self._failed


def _ending(status: int | None) -> str:
    if status is None:
        return "closed its output"
    if status < 0:
        ended_by = signal.Signals(-status)
        hint = ", as the system does where memory or a limit runs out" if ended_by == system.KILL else ""
        return f"was ended by {ended_by.name}{hint}"
    return f"ended with status {status}"
