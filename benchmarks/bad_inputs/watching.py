"""Running the command line on one input, and seeing whether it takes it as it should."""

from __future__ import annotations

import contextlib
import io
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

MOST_SECONDS = 2.0
"""Of this process's own time. It is ended after many times that by the clock, however busy the machine is."""

MOST_FOR_VALID = 10.0
"""The same for what is valid after all, and may have work to do."""

HANGS = 60.0
MOST_MEGABYTES = 500.0


class Stalled(BaseException):
    """It took too long. No Exception, so that nobody catches it."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise ``Stalled`` after so many seconds."""

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
    """Return the most memory that this process had since ``forget``, resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def forget() -> None:
    """Begin to watch memory anew."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def complaint(arguments: list[str], located: re.Pattern[str]) -> str:
    """Run the command line in this process; return what is wrong with how it took its input, empty if nothing is.

    Args:
        arguments: of the command line.
        located: what a line of an error begins with, at least.
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
