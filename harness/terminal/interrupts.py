"""Ctrl-C: the first one ends the command; later ones do not disturb its end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

PATIENCE = 3.0
"""Seconds after the first Ctrl-C until another one ends the process at once."""

AGAIN = 0.01
"""Seconds until an interrupt that Python could not raise is repeated."""


class Interrupts:
    """The handler of Ctrl-C between ``begin`` and ``end``; a closed terminal does not end the command.

    The first Ctrl-C raises KeyboardInterrupt. Later ones are ignored while processes and folders are cleaned up. After
    ``PATIENCE`` another one ends the process at once, and its worker processes with it.

    Args:
        status: The exit status of the process if it ends at once.
        for_good: True if the process ends after ``end``, so that Ctrl-C stays ignored.

    Attributes:
        came: True if an interrupt came.
    """

    def __init__(self, status: int, *, for_good: bool) -> None:
        self.came = False
        self._patient_until: float | None = None
        self._status = status
        self._for_good = for_good
        self._hook = sys.unraisablehook
        self._handles = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a shell's background job ignores it
        )

        self._outlives_terminal = (
            hasattr(signal, "SIGHUP")
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
        )

    def begin(self) -> None:
        """Handle interrupts from here on."""
        if self._handles:
            sys.unraisablehook = self._not_raised
            signal.signal(signal.SIGINT, self._handle)
        if self._outlives_terminal:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def ignore(self) -> None:
        """Ignore interrupts for ``PATIENCE`` seconds: the command is at its end."""
        if self._patient_until is None:
            self._patient_until = time.monotonic() + PATIENCE

    def end(self) -> None:
        """Restore the handling of interrupts, or keep ignoring them if the process ends."""
        if self._handles:
            signal.signal(signal.SIGINT, signal.SIG_IGN if self._for_good else signal.default_int_handler)
            sys.unraisablehook = self._hook
        if self._outlives_terminal and not self._for_good:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def _handle(self, *_: Any) -> None:
        if self._patient_until is None:
            self.ignore()
            self.came = True
            raise KeyboardInterrupt
        if time.monotonic() > self._patient_until:
            os._exit(self._status)

    def _not_raised(self, what: sys.UnraisableHookArgs) -> None:
        """Repeat an interrupt that came in a finalizer, which cannot raise it."""
        if what.exc_type is not KeyboardInterrupt:
            self._hook(what)
            return
        self._patient_until = None
        timer = threading.Timer(AGAIN, os.kill, (os.getpid(), signal.SIGINT))
        timer.daemon = True
        timer.start()
