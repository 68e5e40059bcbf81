"""A case over which every Dask worker is lost: it is an error with the reason, and the others' rows are there."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from harness.execution.cache import Store
from harness.execution.processes import AnswerCache
from harness.execution.session import execute
from harness.execution.session.executors import begin
from harness.implementations import implementations
from tests.execution.session.test_executors import CASES

DEADLY = "many/3"
OF_TWO_DTYPES = [case for case in CASES[:20] if not (case.name == DEADLY and case.dtype == "float64")]

DIES = f"""
import os
import signal

from harness.execution.session.station import Station

answer = Station.answer


def answer_or_die(station, request):
    if b'"{DEADLY}"' in request:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer(station, request)


def dask_setup(worker):
    Station.answer = answer_or_die
"""


@pytest.fixture
def scheduler(tmp_path):
    """A cluster whose workers die when they are asked about one case, and are started again: the user's own, by Dask's
    commands.
    """
    found, dies = tmp_path / "scheduler.json", tmp_path / "dies.py"
    dies.write_text(DIES)
    dask = [sys.executable, "-m", "dask"]
    quiet = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    commands = [
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"],
        [*dask, "worker", "--nworkers", "2", "--nthreads", "1", "--no-dashboard", "--preload", str(dies)],
    ]
    running = []
    with (tmp_path / "log").open("w") as log:
        try:
            for command in commands:
                command += ["--scheduler-file", str(found)]
                running.append(
                    subprocess.Popen(
                        command, cwd=tmp_path, env=quiet, stdout=log, stderr=log, text=True, start_new_session=True
                    )
                )
            while not found.exists():
                assert all(each.poll() is None for each in running), (tmp_path / "log").read_text()
                time.sleep(0.05)
            yield json.loads(found.read_text())["address"]
        finally:
            for each in running:  # the nannies, too: they are of its group
                os.killpg(each.pid, signal.SIGKILL)
                each.wait()


def test_it_is_an_error_with_the_reason_and_the_other_rows_are_there(scheduler, tmp_path):
    there = implementations()
    others = [there["numpy-concat"]]
    with begin("dask", AnswerCache(store=Store(tmp_path / "answers")), scheduler=scheduler) as executor:
        *_, run = execute(OF_TWO_DTYPES, others, there["numpy-split"], executor)
    assert [outcome.case.name for outcome in run.outcomes] == [case.name for case in OF_TWO_DTYPES]
    for outcome in run.outcomes:
        verdicts = [(each.status, each.verdict) for each in outcome.judged]
        if outcome.case.name != DEADLY:
            assert verdicts == [("ok", None), ("ok", "match")], outcome.judged
            continue
        assert verdicts == [("error", None), ("error", "error")]
        reason = outcome.of_baseline.reason
        assert reason.startswith("a Dask worker was lost while it worked on this, 2 times; the last was tcp://")
