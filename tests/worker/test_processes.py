"""One process for each framework: a crash costs what it must and no more."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest

from harness.implementations import Framework
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


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs /proc to look for processes")  # noqa: PTH112
def test_no_process_outlives_a_harness_that_was_killed(workplace):
    code = (
        "import time\n"
        "from harness.implementations import NUMPY\n"
        "from harness.worker.process import WorkerProcess\n"
        "process = WorkerProcess(NUMPY); process.wait_until_ready()\n"
        "print(process._process.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and is_running(worker):
        time.sleep(0.05)
    assert not is_running(worker)


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
