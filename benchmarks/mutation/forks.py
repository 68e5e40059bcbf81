"""Try a version of our code in a fork, so that all of its effects end with it."""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

MEMORY = 6 * 2**30  # bytes


@dataclass(frozen=True)
class ForkOutcome:
    """The outcome of the tests of a version of a module.

    Attributes:
        verdict: ``survived``, ``killed``, or ``timeout``, which counts as killed.
        by: The test that failed first, or the reason why there is none.
        seconds: Seconds by the clock.
    """

    verdict: str
    by: str
    seconds: float


def in_a_fork(whole: Callable[[], tuple[str, str]], limit: float) -> ForkOutcome:
    """Call a function in a fork that returns a verdict and the test; return these, or ``timeout`` after ``limit`` s."""
    start = time.monotonic()
    answer, pipe = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(answer)
        _child(whole, pipe)
    os.close(pipe)
    said = b""
    with os.fdopen(answer, "rb", buffering=0) as pipe:
        while (left := start + limit - time.monotonic()) > 0 and select.select([pipe], [], [], left)[0]:
            if not (more := pipe.read(2**16)):
                break
            said += more
        else:
            said = b"timeout\0no answer in time"
    if _ended_by(child) == signal.SIGPROF:
        said = b"timeout\0" + said
    verdict, _, by = said.decode().partition("\0")
    return ForkOutcome(verdict or "killed", by or "the process died", time.monotonic() - start)


def within_seconds_of_work(seconds: float) -> None:
    """End this process as a timeout if it computes for longer from now; waiting and other processes do not count."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _ended_by(child: int) -> int:
    """End a process and all processes of its group; return the number of the signal that ended it, 0 if none did."""
    try:
        os.killpg(child, signal.SIGKILL)  # a mutant may have left processes of its own
    except ProcessLookupError:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def _child(whole: Callable[[], tuple[str, str]], pipe: int) -> None:
    """Write the verdict to a pipe; never return."""
    try:
        os.setpgid(0, 0)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        answer = "\0".join(whole()).encode()
        within_seconds_of_work(0.0)
    except BaseException as error:
        answer = f"killed\0{error!r}".encode()
    while answer:
        answer = answer[os.write(pipe, answer) :]
    os._exit(0)
