"""A worker process as the system starts it: its pipes, its lifeline, and the file for where it was.

It imports no array library: a command starts the process of a user's file first, and imports the rest meanwhile.
"""

from __future__ import annotations

import os
import signal
import site
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import harness
from harness import system
from harness.execution.processes import keeper

_THREADS = ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")
ONE_THREAD = {f"{name}_THREADS" if "_" in name else f"{name}_NUM_THREADS": "1" for name in _THREADS}
"""Workers run side by side on small problems, and a sum that is split over threads is rounded otherwise elsewhere."""

OPTIONS = ("-P", "-u")
"""For Python: the folder that the harness is called in is not on the path, and a json.py there is not Python's own;
nothing that is printed waits in a buffer."""

DUMP = "HARNESS_DUMP"
"""The environment variable that leads to the file to which faulthandler writes where the process was."""

KEEPER = (sys.executable, "-I", "-S", keeper.__file__)
"""The program that starts a user's process where the system has what a keeper needs; it starts in milliseconds."""

USER_FILE = ("-m", "harness.execution.processes.user_file")
"""Python's arguments for the process of a user's file; its first message names the file."""


def this_harness() -> dict[str, str]:
    """Return what makes a process import this very harness, wherever it lies, in the environment."""
    root = str(Path(harness.__path__[0]).parent)
    if root in (*site.getsitepackages(), site.getusersitepackages()):
        return {}
    return {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


def ahead() -> None:
    """Start the process of a user's file before its name is known; ``taken`` hands it over, ``let_go`` ends it."""
    global _ahead
    if _ahead is None:
        _ahead = Launch(USER_FILE, of_user=True)


def forked() -> bool:
    """Start that process as a copy of this one, which has imported NumPy and nothing of a command.

    Nothing may have replaced the standard streams or the handlers of signals before, and no thread may run. Signals
    that end a command are held back until ``listen``, so that a command handles those that come meanwhile.

    Returns:
        True in the copy, which has to serve the file. Where no copy can be made, nothing is started.
    """
    global _ahead
    if not (sys.platform == "linux" and system.POSIX) or not _has_own_streams():
        return False
    from harness.system.forked import SIGNALS, fork

    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)  # before NumPy reads it
    try:
        import harness.execution.processes.messages  # and with it what both processes need
    except ImportError:  # the command says so
        return False
    begun = time.perf_counter()
    started = fork((*KEEPER, keeper.ADOPT), this_harness(), lifeline=keeper.LIFELINE, dump=DUMP, kept=keeper.KEEPER)
    if started is not None:
        _ahead = Launch(USER_FILE, of_user=True, started=(started, begun))
        return False
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder of the command
    root = str(Path(harness.__path__[0]).parent)
    if root not in sys.path:
        sys.path.append(root)
    return True


def listen() -> None:
    """Take the signals that ``forked`` held back."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))


def _has_own_streams() -> bool:
    """Return whether the standard streams are those that the system gives to a process."""
    try:
        return [each.fileno() for each in (sys.stdin, sys.stdout, sys.stderr)] == [0, 1, 2]
    except (AttributeError, OSError, ValueError):  # closed, or replaced
        return False


def taken() -> Launch | None:
    """Return the process that ``ahead`` started; None if there is none."""
    global _ahead
    found, _ahead = _ahead, None
    return found


def let_go() -> None:
    """End the process that ``ahead`` started, if nothing took it over."""
    if (found := taken()) is not None:
        found.end()


class Launch:
    """A process that the system has started; of a user's file, it waits for its first message.

    Args:
        program: Python's arguments.
        environment: variables besides those of every worker.
        of_user: whether it runs a user's file, so that all processes that the file starts are ended with it.
        started: the process, if it runs already, and when it was started.

    Attributes:
        started: the process, with its pipes.
        begun: when it was started, on the clock of ``time.perf_counter``.
        kept: whether a keeper ends what is below it.
    """

    def __init__(
        self,
        program: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        of_user: bool = False,
        started: tuple[system.Started, float] | None = None,
    ) -> None:
        self.begun = time.perf_counter()
        self.kept = of_user and sys.platform == "linux" and system.POSIX
        if started is not None:
            self.started, self.begun = started
            return
        command = [sys.executable, *OPTIONS, *program]
        self.started = system.start(
            [*KEEPER, *command] if self.kept else command,
            {**ONE_THREAD, **os.environ, **this_harness(), **(environment or {})},
            lifeline=keeper.LIFELINE,
            dump=DUMP,
        )

    def end(self) -> None:
        """End the process, if it is not taken over."""
        if self.started.lifeline is not None:
            os.close(self.started.lifeline)  # its keeper, or the system, ends it
        if not self.kept:
            system.end_group(self.started.process.pid)
        self.started.process.wait()
        self.started.close()


_ahead: Launch | None = None
