"""A command goes on where its terminal is closed, and leaves the signals as it found them."""

import signal

import pytest

from harness.terminal.interrupts import Interrupts


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN], ids=["by default", "under nohup"])
def test_a_terminal_that_is_closed_ends_nothing(before):
    found = signal.signal(signal.SIGHUP, before)
    try:
        interrupts = Interrupts(for_good=False)
        interrupts.begin()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signal.raise_signal(signal.SIGHUP)
        interrupts.end()
        assert signal.getsignal(signal.SIGHUP) is before
    finally:
        signal.signal(signal.SIGHUP, found)
