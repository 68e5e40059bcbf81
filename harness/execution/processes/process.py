"""The harness's end of one worker process: started at once, asked when needed, ended with the harness."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy import ndarray

import harness
from harness.execution.processes import answers, keeper
from harness.execution.processes.chatter import Chatter
from harness.execution.processes.child import DUMP
from harness.execution.processes.dumps import innermost, is_timeout, located
from harness.execution.processes.transport import (
    Channel,
    ChannelClosedError,
    ChannelTimeoutError,
    Message,
    NotAMessage,
    widen,
)
from harness.implementations import Framework
from harness.terminal.text import fit_throughout

START_LIMIT = 300.0
"""Seconds that a framework may take to import."""

GRACE = 2.0
"""Seconds more for a process that ends itself when its time is over, and says where it was."""

_THREADS = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")
ONE_THREAD = {f"{name}_THREADS" if "_" in name else f"{name}_NUM_THREADS": "1" for name in _THREADS}
"""Workers run side by side on small problems, and a sum that is split over threads is rounded otherwise elsewhere."""

OWN_PATH = ("-P",)
"""For Python: the folder that the harness is called in is not on the path, and a json.py there is not Python's own."""

MOST_DUMPED = 2**20
"""Bytes that are read of where a process was."""

KEEPER = (sys.executable, "-I", "-S", keeper.__file__)
"""The program that starts a user's process where the system has what a keeper needs; it starts in milliseconds."""

_TAIL_LINES = 15


def this_harness() -> dict[str, str]:
    """Return what makes a process import this very harness, wherever it lies, in the environment."""
    root = str(Path(harness.__path__[0]).parent)
    if root in sysconfig.get_paths().values():
        return {}
    return {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


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
    """

    def __init__(self, framework: Framework) -> None:
        self.framework = framework
        self.versions: dict[str, str] = {}
        self.introduction: Mapping[str, Any] = {}
        self.seconds_to_import: float | None = None
        self.seconds_to_start: float | None = None
        self._begun = time.perf_counter()
        self._failed: WorkerFailed | None = None
        self._lock = threading.Lock()
        self._dump = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._dumped = 0
        self._kept = framework.of_user and sys.platform == "linux"
        self._lifeline: int | None
        watched, self._lifeline = os.pipe()
        program = [
            sys.executable,
            *OWN_PATH,
            *(framework.program or ("-m", "harness.execution.processes", framework.name)),
        ]
        own = {keeper.LIFELINE: str(watched), DUMP: str(self._dump.fileno())}
        self._process = subprocess.Popen(
            [*KEEPER, *program] if self._kept else program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**ONE_THREAD, **os.environ, **this_harness(), **framework.environment, **own},
            start_new_session=True,  # Ctrl-C is for the harness, which ends its workers itself
            pass_fds=(watched, self._dump.fileno()),
        )
        os.close(watched)
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._chatter = Chatter(self._process.stderr.fileno())
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno(), self._chatter)
        for pipe in (self._process.stdin, self._process.stdout):
            widen(pipe.fileno())

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
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe
            pipe.close()
        self._dump.close()

    def _let_go(self) -> None:
        """Close the lifeline, as happens by itself when the harness ends."""
        with self._lock:  # it must not be closed twice: its number may be another file's by now
            if self._lifeline is not None:
                os.close(self._lifeline)
                self._lifeline = None

    def _signal(self) -> None:
        if self._process.returncode is None:  # else its number may be another's by now
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

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
        timed_out, is_there = isinstance(error, ChannelTimeoutError), isinstance(error, NotAMessage)
        status = None
        if not timed_out and not is_there:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._process.wait(timeout=keeper.PATIENCE)
        said = self._chatter.news()
        dump = os.pread(self._dump.fileno(), MOST_DUMPED, self._dumped).decode(errors="replace")
        place = innermost(dump)
        if timed_out or is_timeout(dump):
            timed_out, reason = True, f"the {self.framework.name} process did not answer within {limit:g} s"
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
        hint = ", as the system does where memory or a limit runs out" if ended_by == signal.SIGKILL else ""
        return f"was ended by {ended_by.name}{hint}"
    return f"ended with status {status}"
