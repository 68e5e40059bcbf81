"""The calls for systems without POSIX, tried here: the same names as those of POSIX, and what they promise."""

import errno
import fcntl
import inspect
import os
import subprocess
import sys
import threading
import time
import types
from contextlib import suppress

import pytest

from harness.system import plain, posix
from harness.system.base import is_posix


def public(module):
    return {
        name: each
        for name, each in vars(module).items()
        if not name.startswith("_") and getattr(each, "__module__", "") == module.__name__
    }


def test_both_have_the_same_names_and_arguments():
    ours, theirs = public(plain), public(posix)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert inspect.signature(ours[name]) == inspect.signature(theirs[name]), name
    for name in vars(posix.Pipes):
        if not name.startswith("_"):
            assert inspect.signature(getattr(plain.Pipes, name)) == inspect.signature(getattr(posix.Pipes, name)), name


@pytest.mark.parametrize(("where", "name"), [(os, "fork"), (os, "killpg"), (os, "pread")])
def test_a_system_without_one_call_is_none_of_posix(monkeypatch, where, name):
    assert is_posix()
    monkeypatch.delattr(where, name)
    assert not is_posix()


def test_a_system_without_one_module_is_none_of_posix(monkeypatch):
    monkeypatch.setitem(sys.modules, "termios", None)
    assert not is_posix()


@pytest.fixture(params=[plain, posix], ids=["plain", "posix"])
def ends(request):
    """Pipes that read what they write, and the descriptor of the writing end."""
    receiving, sending = os.pipe()
    yield request.param.Pipes(receiving, sending), sending
    for descriptor in (receiving, sending):
        with suppress(OSError):  # a test has closed it
            os.close(descriptor)


def soon():
    return time.monotonic() + 10


def test_bytes_arrive_in_their_order(ends):
    pipes, _ = ends
    sent = bytes(range(256)) * 2000
    found = bytearray()

    def write():
        left = memoryview(sent)
        while left:
            left = left[pipes.give(left, soon()) :]

    writing = threading.Thread(target=write)
    writing.start()
    while len(found) < len(sent):
        view = memoryview(bytearray(777))
        found += view[: pipes.take(view, soon())]
    writing.join()
    assert found == sent


def test_nothing_to_read_is_a_timeout(ends):
    pipes, _ = ends
    with pytest.raises(TimeoutError):
        pipes.take(memoryview(bytearray(1)), time.monotonic() + 0.05)


def test_a_pipe_that_is_not_read_is_a_timeout():
    receiving, sending = os.pipe()
    nothing, other = os.pipe()
    pipes = plain.Pipes(nothing, sending)
    with pytest.raises(TimeoutError):
        pipes.give(memoryview(bytes(2**22)), time.monotonic() + 0.05)
    os.close(receiving)  # ends the thread that writes
    for descriptor in (nothing, other):
        os.close(descriptor)


def test_the_end_of_a_pipe_is_no_bytes_again_and_again(ends):
    pipes, sending = ends
    os.write(sending, b"last")
    os.close(sending)
    view = memoryview(bytearray(10))
    assert [pipes.take(view, soon()) for _ in range(3)] == [4, 0, 0]


def test_the_end_of_a_pipe_is_announced_without_a_signal():
    receiving, sending = os.pipe()
    announced = threading.Event()
    pipes = plain.Pipes(receiving, sending, None, announced.set)
    assert not announced.wait(0.05)
    os.close(sending)
    assert announced.wait(10)
    assert pipes.take(memoryview(bytearray(1)), soon()) == 0
    os.close(receiving)


@pytest.mark.parametrize("module", [plain, posix], ids=["plain", "posix"])
def test_a_reader_that_is_gone_is_a_broken_pipe(module):
    receiving, sending = os.pipe()
    nothing, other = os.pipe()
    pipes = module.Pipes(nothing, sending)
    os.close(receiving)
    with pytest.raises(BrokenPipeError):
        pipes.give(memoryview(b"words"), soon())
    for descriptor in (sending, nothing, other):
        os.close(descriptor)


@pytest.fixture
def msvcrt(monkeypatch):
    """A module like that of Windows: a lock of the byte at the present place, which this process holds."""
    held = {}

    def locking(descriptor, mode, count):
        assert (mode, count) == (fake.LK_NBLCK, 1)
        place = os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR)
        if held.setdefault(place, descriptor) != descriptor:
            raise PermissionError(errno.EACCES, "Permission denied")

    fake = types.SimpleNamespace(LK_NBLCK=2, locking=locking)
    monkeypatch.setitem(sys.modules, "msvcrt", fake)
    return held


def test_a_lock_of_windows_is_behind_the_content(msvcrt, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"content")
    first, second = os.open(file, os.O_RDWR), os.open(file, os.O_RDWR)
    plain.lock(first)
    with pytest.raises(OSError, match="Permission denied"):
        plain.lock(second, wait=False)
    assert os.read(second, 100) == b"content", "it is read from its beginning, and no byte of it is locked"
    msvcrt.clear()
    plain.lock(second, wait=False)
    for descriptor in (first, second):
        os.close(descriptor)


def test_without_any_locks_a_new_file_counts_as_held(tmp_path):
    file = tmp_path / "file"
    file.touch()
    descriptor = os.open(file, os.O_RDWR)
    plain.lock(descriptor)
    with pytest.raises(BlockingIOError):
        plain.lock(descriptor, wait=False)
    os.utime(file, (0, 0))
    plain.lock(descriptor, wait=False)
    os.close(descriptor)


@pytest.mark.parametrize("module", [plain, posix], ids=["plain", "posix"])
def test_one_process_at_a_time_is_alone(module, tmp_path):
    order = []

    def second():
        with module.alone(tmp_path):
            order.append("second")

    with module.alone(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.1)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_was_left_behind_holds_nothing(tmp_path):
    (tmp_path / ".harness-lock").touch()
    os.utime(tmp_path / ".harness-lock", (0, 0))
    with plain.alone(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"), plain.alone(tmp_path / "gone"):
        pass


STARTING = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
os.write(1, f"{child.pid}\\n".encode())
time.sleep(100)
"""


@pytest.mark.slow
@pytest.mark.parametrize("module", [plain, posix], ids=["plain", "posix"])
def test_a_process_ends_with_those_that_it_started(module):
    import psutil

    started = module.start([sys.executable, "-c", STARTING], os.environ, lifeline="LIFELINE", dump="DUMP")
    assert started.process.stdout is not None
    child = psutil.Process(int(started.process.stdout.readline()))
    module.end_group(started.process.pid)
    started.process.wait(10)
    psutil.wait_procs([child], 10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    if started.lifeline is not None:
        os.close(started.lifeline)
    started.close()
    started.close()


WRITING = """
import os, sys
sys.path[:0] = {path!r}
from harness.system import {module}
os.write(2, b"printed")
os.write({module}.opened(os.environ["DUMP"]), b"where it was")
"""


@pytest.mark.parametrize("module", [plain, posix], ids=["plain", "posix"])
def test_prints_and_dumps_are_read(module):
    code = WRITING.format(path=sys.path, module=module.__name__.rpartition(".")[2])
    started = module.start([sys.executable, "-c", code], os.environ, lifeline="LIFELINE", dump="DUMP")
    assert started.process.wait(30) == 0
    assert module.waiting(started.printed) == len(b"printed")
    assert os.read(started.printed, 100) == b"printed"
    assert module.waiting(started.printed) == 0
    assert module.read_at(started.dump, 100, 6) == b"it was"
    assert module.read_at(started.dump, 100, 0) == b"where it was"
    if started.lifeline is not None:
        os.close(started.lifeline)
    started.close()
    assert not any(os.path.exists(file) for file in started.files)  # noqa: PTH110


def test_folders_are_exchanged_only_where_the_system_can(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert plain.exchanged(tmp_path / "one", tmp_path / "two") is False
    plain.flush(tmp_path / "one")
    (tmp_path / "one" / "file").write_text("content")
    plain.flush(tmp_path / "one" / "file")
    assert (tmp_path / "one" / "file").read_text() == "content"


def test_a_signal_is_repeated():
    code = "import signal\nfrom harness.system import plain\nplain.interrupt(signal.SIGINT)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "KeyboardInterrupt" in done.stderr


def test_a_descriptor_of_a_lock_of_posix_holds_it(tmp_path):
    descriptor, other = os.open(tmp_path, os.O_RDONLY), os.open(tmp_path, os.O_RDONLY)
    posix.lock(descriptor)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(BlockingIOError):
        posix.lock(other, wait=False)
    for each in (descriptor, other):
        os.close(each)
