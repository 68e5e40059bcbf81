"""The harness's end of one worker process: started at once, asked when needed, ended with the harness."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from numpy import ndarray

from harness.implementations import Framework
from harness.worker.transport import Channel, ChannelClosedError, ChannelTimeoutError, Message

START_LIMIT = 300.0
"""Seconds that a framework may take to import."""

_THREADS = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")
ONE_THREAD = {f"{name}_THREADS" if "_" in name else f"{name}_NUM_THREADS": "1" for name in _THREADS}
"""Workers run side by side on small problems, and a sum that is split over threads is rounded otherwise elsewhere."""

_TAIL_LINES = 15


class WorkerFailed(Exception):
    """A worker ended, or did not answer in time.

    Attributes:
        reason: one line.
        detail: the last lines of its standard error.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class WorkerProcess:
    """One process of one framework. It begins to start when this object is made, and is waited for when it is asked.

    Args:
        framework: what it runs.
    """

    def __init__(self, framework: Framework) -> None:
        self.framework = framework
        self.versions: dict[str, str] = {}
        self.seconds_to_import: float | None = None
        self._failed: WorkerFailed | None = None
        self._chatter = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.worker", framework.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._chatter,
            env={**ONE_THREAD, **os.environ, **framework.environment},
            start_new_session=True,  # Ctrl-C is for the harness, which ends its workers itself
        )
        assert self._process.stdin
        assert self._process.stdout
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno())

    def ask(self, header: Mapping[str, Any], arrays: Mapping[str, ndarray], *, limit: float) -> Message:
        """Send a request and wait for its answer.

        Args:
            header: the request.
            arrays: its arrays.
            limit: how many seconds the answer may take.

        Raises:
            WorkerFailed: if the process ends or the time is over. The process is then gone.
        """
        self.wait_until_ready()
        try:
            self._channel.send(header, arrays, timeout=limit)
            return self._channel.receive(timeout=limit)
        except (ChannelClosedError, ChannelTimeoutError) as error:
            raise self._failure(error, limit) from None

    def wait_until_ready(self) -> None:
        """Wait for the framework to be imported.

        Raises:
            WorkerFailed: if that fails.
        """
        if self._failed is not None:
            raise self._failed
        if self.seconds_to_import is not None:
            return
        try:
            ready = self._channel.receive(timeout=START_LIMIT)
        except (ChannelClosedError, ChannelTimeoutError) as error:
            raise self._failure(error, START_LIMIT) from None
        self.versions = dict(ready.header["versions"])
        self.seconds_to_import = float(ready.header["seconds"])

    def kill(self) -> None:
        """End the process now, whatever it is doing. A request that is under way in another thread fails."""
        self._process.kill()

    def close(self) -> None:
        """End the process and let go of what belongs to it. No request may be under way; may be called again."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()
        self._chatter.close()

    def _failure(self, error: Exception, limit: float) -> WorkerFailed:
        if isinstance(error, ChannelTimeoutError):
            reason = f"the {self.framework.name} process did not answer within {limit:g} s"
        else:
            try:
                status = self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                status = None
            reason = f"the {self.framework.name} process {_ending(status)}"
        detail = self._tail()
        self.close()
        self._failed = WorkerFailed(reason, detail)
        return self._failed

    def _tail(self) -> str:
        self._chatter.seek(0)
        lines = self._chatter.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])


def _ending(status: int | None) -> str:
    if status is None:
        return "closed its output"
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
