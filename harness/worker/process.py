"""The harness's end of one worker process: started at once, asked when needed, ended with the harness."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy import ndarray

import harness
from harness.implementations import Framework
from harness.worker.child import LIFELINE
from harness.worker.dumps import innermost, is_timeout, located, split
from harness.worker.transport import Channel, ChannelClosedError, ChannelTimeoutError, Message, widen

START_LIMIT = 300.0
"""Seconds that a framework may take to import."""

GRACE = 2.0
"""Seconds more for a process that ends itself when its time is over, and says where it was."""

MOST_CHATTER = 2**20
"""Bytes of what a process printed that are read, the last ones."""

_THREADS = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")
ONE_THREAD = {f"{name}_THREADS" if "_" in name else f"{name}_NUM_THREADS": "1" for name in _THREADS}
"""Workers run side by side on small problems, and a sum that is split over threads is rounded otherwise elsewhere."""

OWN_PATH = ("-P",)
"""For Python: the folder that the harness is called in is not on the path, and a json.py there is not Python's own."""

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
        self._heard = 0
        self._chatter = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._lifeline: int | None
        watched, self._lifeline = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, *OWN_PATH, *(framework.program or ("-m", "harness.worker", framework.name))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._chatter,
            env={**ONE_THREAD, **os.environ, **this_harness(), **framework.environment, LIFELINE: str(watched)},
            start_new_session=True,  # Ctrl-C is for the harness, which ends its workers itself
            pass_fds=(watched,),
        )
        os.close(watched)
        assert self._process.stdin
        assert self._process.stdout
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno())
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
        try:
            self._channel.send(header, arrays, timeout=limit + GRACE)
            answer = self._channel.receive(timeout=limit + GRACE)
        except (ChannelClosedError, ChannelTimeoutError) as error:
            raise self._failure(error, limit) from None
        return Message({**answer.header, "said": self._news()}, answer.arrays)

    def wait_until_ready(self) -> None:
        """Wait for the framework to be imported.

        Raises:
            WorkerFailed: if that fails.
        """
        if self._failed is not None:
            raise self._failed
        if self.seconds_to_import is not None:
            return
        limit = self.framework.limit + GRACE if self.framework.program else START_LIMIT
        try:
            ready = self._channel.receive(timeout=limit)
        except (ChannelClosedError, ChannelTimeoutError) as error:
            raise self._failure(error, limit) from None
        self.introduction = {**ready.header, "said": self._news()}
        self.versions = dict(ready.header["versions"])
        self.seconds_to_import = float(ready.header["seconds"])
        self.seconds_to_start = time.perf_counter() - self._begun

    def kill(self) -> None:
        """End the process now, whatever it is doing, and those that it started.

        A request that is under way in another thread fails.
        """
        if self._process.returncode is None:  # else its number may be another's by now
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process and let go of what belongs to it. No request may be under way; may be called again."""
        self.kill()
        self._process.wait()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()
        self._chatter.close()

    def _failure(self, error: Exception, limit: float) -> WorkerFailed:
        timed_out = isinstance(error, ChannelTimeoutError)
        status = None
        if not timed_out:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._process.wait(timeout=5)
        said, dump = split(self._news())
        place = innermost(dump)
        if timed_out or is_timeout(dump):
            timed_out, reason = True, f"the {self.framework.name} process did not answer within {limit:g} s"
        else:
            reason = f"the {self.framework.name} process {_ending(status)}"
        if place:
            reason += f"; it was at {place}"
        detail = located(dump) or "\n".join(self._everything().splitlines()[-_TAIL_LINES:])
        self.close()
        self._failed = WorkerFailed(reason, detail, said, timed_out=timed_out)
        return self._failed

    def _news(self) -> str:
        """Return what the process wrote to its standard error since this was last called."""
        news = self._everything(since=self._heard)
        self._heard = os.fstat(self._chatter.fileno()).st_size
        return news

    def _everything(self, since: int = 0) -> str:
        # The process writes at the offset of this very file, so it is read without moving that.
        descriptor = self._chatter.fileno()
        size = os.fstat(descriptor).st_size
        start = max(since, size - MOST_CHATTER)
        return os.pread(descriptor, size - start, start).decode(errors="replace")


def _ending(status: int | None) -> str:
    if status is None:
        return "closed its output"
    if status < 0:
        ended_by = signal.Signals(-status)
        hint = ", as the system does where memory runs out" if ended_by == signal.SIGKILL else ""
        return f"was ended by {ended_by.name}{hint}"
    return f"ended with status {status}"
