"""One process for each framework: a crash costs what it must and no more."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.check import process_of
from harness.implementations import Framework
from harness.userfile import named
from harness.worker import WorkerFailed
from harness.worker.process import WorkerProcess


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


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs /proc to look for processes")  # noqa: PTH112
@pytest.mark.parametrize("doing", BUSY)
def test_no_process_outlives_a_harness_that_was_killed(tmp_path, doing):
    file = tmp_path / "users.py"
    file.write_text(f"import os\nprint(os.getpid(), flush=True)\n{BUSY[doing]}\n")
    code = (
        "import sys, time\n"
        "from harness.check import process_of\n"
        "from harness.userfile import named\n"
        "from harness.worker.process import WorkerProcess\n"
        "process = WorkerProcess(process_of(named(sys.argv[1]), 600))\n"
        "while not process._everything(): time.sleep(0.01)\n"
        "print(process._process.pid, flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    time.sleep(0.2)  # so that it is busy
    started = of_group(worker)
    assert worker in started
    assert len(started) == (2 if doing.startswith("with") else 1)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(map(is_running, started)):
        time.sleep(0.02)
    assert not [each for each in started if is_running(each)]


def of_group(leader):
    """The processes of a group, all of which a worker has started."""
    found = []
    for pid in (int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()):
        try:
            if os.getpgid(pid) == leader and is_running(pid):
                found.append(pid)
        except ProcessLookupError:
            continue
    return found


def test_closing_a_process_ends_those_that_it_started(tmp_path):
    file = tmp_path / "users.py"
    file.write_text("import subprocess\nprint('up', flush=True)\nsubprocess.run(['sleep', '600'])\n")
    process = WorkerProcess(process_of(named(str(file)), 600))
    while not process._everything() or len(of_group(process._process.pid)) < 2:
        time.sleep(0.01)
    started = of_group(process._process.pid)
    process.close()
    time.sleep(0.1)
    assert not [each for each in started if is_running(each)]


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_interrupting_ends_with_130_and_leaves_nothing_running(workplace, harness):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text().replace("time: 3", "time: 200000"))
    command = [sys.executable, "-m", "harness", "run", "--impl", "numpy-concat"]
    running = subprocess.Popen(command, cwd=workplace, stderr=subprocess.PIPE, text=True)
    time.sleep(2.5)
    running.send_signal(signal.SIGINT)
    _, chatter = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "interrupted" in chatter
    assert "Traceback" not in chatter
    assert not (workplace / "reports").exists()
