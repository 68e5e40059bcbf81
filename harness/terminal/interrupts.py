"""Ctrl-C and SIGTERM: once ends the command and cleans up, again does not disturb its end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

PATIENCE = 3.0
"""Seconds after the first of them from which another ends the process at once."""

AGAIN = 0.01
"""Seconds until an interrupt that Python could not raise is repeated."""


class Interrupts:
    """Handles both between ``begin`` and ``end``, and goes on where the terminal is closed: its report is awaited.

    The first raises KeyboardInterrupt, whichever of the two it is. Those that follow while processes and folders are
    cleaned up are ignored; after ``PATIENCE`` the process ends at once, and its worker processes end with it.

    Args:
        for_good: the process ends after ``end``, so that Ctrl-C stays ignored.

    Attributes:
        came: the number of the signal that came first; 0 if none did.
    """

    def __init__(self, *, for_good: bool) -> None:
        self.came = 0
        self._patient_until: float | None = None
        self._for_good = for_good
        self._hook = sys.unraisablehook
        by_default = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        in_main = threading.current_thread() is threading.main_thread()
        # A shell's background job ignores Ctrl-C.
        self._handled = [each for each, before in by_default.items() if in_main and signal.getsignal(each) is before]
        self._outlives_terminal = (
            hasattr(signal, "SIGHUP")
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
        )

    def begin(self) -> None:
        """Handle interrupts from here on."""
        if self._handled:
            sys.unraisablehook = self._not_raised
        for each in self._handled:
            signal.signal(each, self._handle)
        if self._outlives_terminal:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def ignore(self) -> None:
        """Ignore interrupts for ``PATIENCE`` seconds: the command is at its end."""
        if self._patient_until is None:
            self._patient_until = time.monotonic() + PATIENCE

    def end(self) -> None:
        """Restore the handling of interrupts, or keep ignoring them if the process ends."""
        if self._handled:
            sys.unraisablehook = self._hook
        if signal.SIGINT in self._handled:
            signal.signal(signal.SIGINT, signal.SIG_IGN if self._for_good else signal.default_int_handler)
        if signal.SIGTERM in self._handled:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._outlives_terminal and not self._for_good:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def _handle(self, number: int, _: Any) -> None:
        if self._patient_until is None:
            self.ignore()
            self.came = self.came or number
            raise KeyboardInterrupt
        if time.monotonic() > self._patient_until:
            os._exit(128 + (self.came or number))

    def _not_raised(self, what: sys.UnraisableHookArgs) -> None:
        """Repeat an interrupt that came in a finalizer, which cannot raise it."""
        if what.exc_type is not KeyboardInterrupt:
            self._hook(what)
            return
        self._patient_until = None
        timer = threading.Timer(AGAIN, _repeat, (self.came,))
        timer.daemon = True
        timer.start()


def _repeat(number: int) -> None:
    from harness.system import interrupt  # which few commands need

    interrupt(number)
