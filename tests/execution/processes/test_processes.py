"""One process for each framework: a crash costs what it must and no more."""

import csv
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from harness import load_case
from harness.candidate.check import process_of
from harness.candidate.userfile import named
from harness.execution.processes import WorkerFailed
from harness.execution.processes.messages import of_problem
from harness.execution.processes.process import WorkerProcess
from harness.implementations import Framework


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_crash_takes_no_other_result_along(harness, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "sweep: {sizes.time: [1, 2, 3]}\n")
    done = harness("run", "--impl", "numpy-concat,aborting,sign")
    assert done.returncode == 3
    found = {(row["case"], row["implementation"]): row for row in rows(workplace / "reports/latest/runs.csv")}
    assert len(found) == 3 * 4
    for time_steps in (1, 2, 3):
        name = f"small[sizes.time={time_steps}]"
        assert found[name, "numpy-concat"]["status"] == "ok"
        assert found[name, "sign"]["status"] == "ok", "the process is started again after a crash"
        assert found[name, "aborting"]["status"] == "error"
        assert "SIGABRT" in found[name, "aborting"]["reason"]


def test_a_process_that_keeps_crashing_is_not_started_for_ever(harness, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "sweep: {sizes.time: [1, 2, 3, 4, 5, 6, 7, 8]}\n")
    harness("run", "--impl", "aborting")
    reasons = [row["reason"] for row in rows(workplace / "reports/latest/runs.csv") if row["status"] == "error"]
    assert len(reasons) == 8
    assert sum("not started again" in reason for reason in reasons) == 4


def test_every_tensor_of_a_crashed_implementation_is_in_the_report(harness, workplace):
    harness("run", "--impl", "exiting")
    compared = rows(workplace / "reports/latest/comparisons.csv")
    assert {row["verdict"] for row in compared} == {"error"}
    assert {row["tensor"] for row in compared} >= {"loss", "outputs", "inputs", "layer0.W_hh", "layer1.h0"}
    assert all("status 7" in row["reason"] for row in compared)


def test_a_framework_that_cannot_be_imported_says_why():
    process = WorkerProcess(Framework("numpy", ("numpy",), "", {"PYTHONHOME": "/nonexistent"}))
    with pytest.raises(WorkerFailed) as failure:
        process.wait_until_ready()
    assert "numpy process ended with status" in failure.value.reason
    assert failure.value.detail
    with pytest.raises(WorkerFailed):
        process.ask({}, {}, limit=1)


def test_a_request_that_takes_too_long_ends_the_process():
    process = WorkerProcess(Framework("numpy", ("numpy",), ""))
    process.wait_until_ready()
    os.kill(process._process.pid, signal.SIGSTOP)  # a process that hangs
    with pytest.raises(WorkerFailed, match=r"did not answer within 0\.2 s"):
        process.ask({"do": "run"}, {}, limit=0.2)
    assert process._process.poll() is not None


BUSY = {
    "waiting": "import time; time.sleep(600)",
    "in Python": "while True: pass",
    "in C, without ever letting Python go": "import ctypes; ctypes.PyDLL(None).sleep(600)",
    "with a process of its own": "import subprocess; subprocess.run(['sleep', '600'])",
}

needs_proc = pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs /proc to look for processes")  # noqa: PTH112


@needs_proc
@pytest.mark.parametrize("doing", BUSY)
def test_no_process_outlives_a_harness_that_was_killed(tmp_path, doing):
    file = tmp_path / "users.py"
    file.write_text(f"import os\nprint(os.getpid(), flush=True)\n{BUSY[doing]}\n")
    parent, started = begun_elsewhere(file, 2 + doing.startswith("with"))
    parent.kill()
    parent.communicate()
    assert not still_running(started)


def begun_elsewhere(file, count):
    """Begin a user's file by a harness of its own; return that, and the processes below it when there are so many."""
    code = (
        "import sys, time\n"
        "from harness.candidate.check import process_of\n"
        "from harness.candidate.userfile import named\n"
        "from harness.execution.processes.process import WorkerProcess\n"
        "process = WorkerProcess(process_of(named(sys.argv[1]), 600))\n"
        "while not process._chatter.end(1): time.sleep(0.01)\n"
        "print('up', flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "up\n"
    while len(below := psutil.Process(parent.pid).children(recursive=True)) < count:
        time.sleep(0.01)
    return parent, [each.pid for each in below]


def still_running(started):
    """The processes of these that run, after as long as it may take to end them."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(map(is_running, started)):
        time.sleep(0.02)
    return [each for each in started if is_running(each)]


CHILDREN = {
    "in its group": "keep(subprocess.Popen(['sleep', '600']).pid)",
    "in a session of its own": "keep(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)",
    "a daemon": """\
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        keep(os.getpid())
        os.execvp('sleep', ['sleep', '600'])
    os._exit(0)
os.wait()""",
    "a daemon of a daemon, without an environment": """\
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        child = subprocess.Popen(['sleep', '600'], start_new_session=True, env={})
        keep(child.pid)
        os.execvpe('sleep', ['sleep', '600'], {'PATH': os.environ['PATH']})
    os._exit(0)
os.wait()""",
}

LEAVING = """\
import os, subprocess, time
from pathlib import Path
def keep(pid):
    Path({pid!r}).with_suffix(".new").write_text(str(pid))
    Path({pid!r}).with_suffix(".new").rename({pid!r})
{start}
while not Path({pid!r}).exists():
    time.sleep(0.01)
print("up", flush=True)
{then}
"""


@pytest.fixture
def leaving(tmp_path):
    """Write a user's file that leaves a process behind; return the file, and where it writes that one's number."""

    def write(start, then="time.sleep(600)"):
        file, pid = tmp_path / "users.py", tmp_path / "pid"
        file.write_text(LEAVING.format(start=CHILDREN[start], pid=str(pid), then=then))
        return file, pid

    return write


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system keeps no orphans for an ancestor")
class TestWhatAUsersFileLeavesBehind:
    @pytest.mark.parametrize("start", CHILDREN)
    def test_is_ended_with_its_process(self, leaving, start):
        file, pid = leaving(start)
        process = WorkerProcess(process_of(named(str(file)), 600))
        while not process._chatter.end(1):
            time.sleep(0.01)
        left = int(pid.read_text())
        assert is_running(left)
        process.close()
        assert not is_running(left), "it is gone when close() returns"

    @pytest.mark.parametrize("start", CHILDREN)
    def test_is_ended_when_its_process_crashes(self, leaving, start):
        file, pid = leaving(start, "os._exit(3)")
        process = WorkerProcess(process_of(named(str(file)), 600))
        with pytest.raises(WorkerFailed, match="ended with status 3"):
            process.wait_until_ready()
        assert not is_running(int(pid.read_text()))

    @pytest.mark.parametrize("start", CHILDREN)
    def test_is_ended_when_the_harness_is_killed(self, leaving, start):
        file, pid = leaving(start)
        parent, started = begun_elsewhere(file, 3)
        assert is_running(int(pid.read_text()))
        parent.kill()
        parent.communicate()
        assert not still_running([*started, int(pid.read_text())])

    def test_is_ended_when_the_keeper_is_killed_first(self, leaving):
        file, pid = leaving("in its group")
        parent, started = begun_elsewhere(file, 3)
        os.kill(psutil.Process(parent.pid).children()[0].pid, signal.SIGKILL)
        users = [each for each in started if each != int(pid.read_text())]
        assert not still_running(users), "a user's process does not go on without its keeper"
        parent.kill()
        parent.communicate()
        os.kill(int(pid.read_text()), signal.SIGKILL)

    @pytest.mark.parametrize(
        ("then", "words"),
        [("os.kill(os.getpid(), 11)", "was ended by SIGSEGV"), ("os.kill(os.getpid(), 9)", "was ended by SIGKILL")],
        ids=["SIGSEGV", "SIGKILL"],
    )
    def test_does_not_change_how_its_process_ended(self, leaving, then, words):
        file, _ = leaving("a daemon", then)
        process = WorkerProcess(process_of(named(str(file)), 600))
        with pytest.raises(WorkerFailed, match=words):
            process.wait_until_ready()


def test_a_fork_that_comes_back_answers_nothing(tmp_path):
    file = tmp_path / "users.py"
    file.write_text("import os\ndef mine(problem): return {}\nos.fork()\n")
    process = WorkerProcess(process_of(named(f"{file}:mine"), 60))
    process.wait_until_ready()
    answer = process.ask(*question(), limit=60)
    assert answer.header["reason"].startswith("returned an empty dictionary")
    assert process.ask(*question(), limit=60).header["reason"] == answer.header["reason"]
    process.close()


def question():
    header, arrays = of_problem(load_case("basic/tanh[dtype=float64]").problem())
    return {"do": "run", "implementation": "mine", **header}, arrays


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_a_run_with_its_status_and_leaves_nothing_behind(workplace, number, status):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text().replace("time: 3", "time: 200000"))
    command = [sys.executable, "-m", "harness", "run", "--impl", "numpy-concat"]
    running = subprocess.Popen(command, cwd=workplace, stderr=subprocess.PIPE, text=True)
    time.sleep(2.5)
    running.send_signal(number)
    _, chatter = running.communicate(timeout=30)
    assert running.returncode == status
    assert "interrupted" in chatter
    assert "Traceback" not in chatter
    assert not (workplace / "reports").exists()
