"""The exit status of work that does not come to its end, and what is said of it."""

import errno
import os
import signal
import time
from pathlib import Path

import pytest

import harness
from harness.terminal import BAD_INPUT, INTERNAL, INTERRUPTED, ended


def failing(error, note=""):
    def work():
        if note:
            error.add_note(note)
        raise error

    return work


OURS = {
    "any exception": ZeroDivisionError("division by zero"),
    "a worker's pipe": BrokenPipeError(errno.EPIPE, "Broken pipe"),
    "a closed descriptor": OSError(errno.EBADF, "Bad file descriptor"),
    "no number": OSError("of a library"),
    "a file of the package": FileNotFoundError(errno.ENOENT, "No such file", str(Path(harness.__path__[0]) / "x.html")),
    "an exit": SystemExit(1),
}


@pytest.mark.parametrize("error", OURS.values(), ids=OURS)
def test_an_error_of_ours_has_its_traceback_and_a_status_of_its_own(capsys, error):
    assert ended(failing(error, "this is kept"), for_good=False) == INTERNAL == os.EX_SOFTWARE
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert "in work\n    raise error\n" in said
    assert "this is kept\n" in said
    assert said.rstrip().endswith("`harness doctor`")


OF_THE_SYSTEM = {
    "no permission": (
        PermissionError(errno.EACCES, "Permission denied", "a/b"),
        "a/b cannot be used: Permission denied",
    ),
    "read-only": (OSError(errno.EROFS, "Read-only file system", "a/b"), "a/b cannot be written: Read-only file system"),
    "full": (OSError(errno.ENOSPC, "No space left on device"), "a file cannot be written: No space left on device"),
    "two paths": (OSError(errno.EXDEV, "Invalid link", "a", None, "b"), "a to b cannot be used: Invalid link"),
    "control characters": (
        OSError(errno.ENOENT, "No such file", "\x1b]0;\x07"),
        r"\x1b]0;\x07 cannot be used: No such",
    ),
}


@pytest.mark.parametrize(("error", "words"), OF_THE_SYSTEM.values(), ids=OF_THE_SYSTEM)
def test_an_error_of_the_users_file_system_is_a_message(capsys, error, words):
    assert ended(failing(error, "this is kept"), for_good=False) == BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith(f"Error: {words}")
    assert said.endswith("\nthis is kept\n")
    assert "Traceback" not in said


def test_an_error_of_the_caller_passes_by():
    class TimedOut(BaseException):
        pass

    with pytest.raises(TimedOut):
        ended(failing(TimedOut()), for_good=False)


def test_another_interrupt_does_not_disturb_the_end_of_the_first(capsys):
    cleaned = []

    def work():
        try:
            signal.raise_signal(signal.SIGINT)
            pytest.fail("it was not raised")
        finally:
            signal.raise_signal(signal.SIGINT)
            cleaned.append("processes")
            signal.raise_signal(signal.SIGINT)
            cleaned.append("folders")

    assert ended(work, for_good=False) == INTERRUPTED
    assert cleaned == ["processes", "folders"]
    assert capsys.readouterr().err == "interrupted\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_a_finalizer_swallows_comes_again(capsys):
    class Finalized:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def work():
        Finalized()
        time.sleep(60)

    assert ended(work, for_good=False) == INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_an_interrupt_that_an_import_makes_another_error_of_is_one(capsys):
    def work():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("numpy._core.multiarray failed to import") from None

    assert ended(work, for_good=False) == INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_after_some_seconds_another_interrupt_ends_a_process_that_does_not_end(monkeypatch):
    class Ended(BaseException):
        pass

    def end_at_once(status):
        raise Ended(status)

    monkeypatch.setattr("harness.terminal.interrupts.PATIENCE", -1.0)
    monkeypatch.setattr("harness.terminal.interrupts.os._exit", end_at_once)

    def work():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Ended, match=str(INTERRUPTED)):
        ended(work, for_good=False)
