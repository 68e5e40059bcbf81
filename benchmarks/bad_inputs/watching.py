"""Run the command line on one input, and check that it handles it well."""

from __future__ import annotations

import contextlib
import io
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

MOST_SECONDS = 2.0
"""Maximum seconds of this process's own time; the limit by the clock is many times that, for a busy machine."""

MOST_FOR_VALID = 10.0
"""Maximum seconds for an input that is valid after all and may have work to do."""

HANGS = 60.0
MOST_MEGABYTES = 500.0


class Stalled(BaseException):
    """The command took too long. It is no Exception, so that no handler catches it."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise ``Stalled`` after a number of seconds."""

    def over(*_: object) -> None:
        raise Stalled

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def megabytes() -> float:
    """Return the maximum resident memory of this process since ``forget``, in megabytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def forget() -> None:
    """Reset the maximum of memory."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def complaint(arguments: list[str], located: re.Pattern[str]) -> str:
    """Run the command line in this process; return a complaint about its handling of the input, empty if there is none.

    Args:
        arguments: The arguments of the command line.
        located: A pattern that each error message must match, for its place.
    """
    from harness.cli import main
    from harness.cli.exits import Exit

    out, err = io.StringIO(), io.StringIO()
    forget()
    before, start = megabytes(), time.process_time()
    try:
        with limited(HANGS), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(arguments)
    except SystemExit as ended:
        status = ended.code
    except Stalled:
        return f"took more than {HANGS:g} s"
    if status == Exit.INTERNAL:
        return f"traceback: {err.getvalue()}"
    seconds, grown = time.process_time() - start, megabytes() - before
    if seconds > (MOST_SECONDS if status == 2 else MOST_FOR_VALID):
        return f"took {seconds:.1f} s"
    if grown > MOST_MEGABYTES:
        return f"took {grown:.0f} MB"
    if status == 2 and not located.search(out.getvalue() + err.getvalue()):
        return f"is refused without a place: {(out.getvalue() + err.getvalue())[-300:]!r}"
    if len(out.getvalue()) + len(err.getvalue()) > 1_000_000:
        return "is answered with more than a megabyte"
    return "" if status in (0, 1, 2, 3, 5) else f"ends with status {status}"
