"""All processes of a run end with it, whatever they are doing."""

import threading
import time

import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.execution.processes import WorkerFailed, Workers
from harness.implementations import NUMPY, implementations
from harness.problem import build


def problem_of(steps):
    case = ValidCase(
        name="long",
        file="long",
        sizes=Sizes(batch=1, time=steps, input=1, hidden=2),
        loss=Loss(kind="dot"),
        upstream="ones",
    )
    return build(case, None)


def test_ending_while_processes_start_is_quiet(recwarn):
    for _ in range(5):
        with Workers() as workers:
            workers.start([NUMPY])
    time.sleep(0.1)
    assert not [thread for thread in threading.enumerate() if "_wait" in thread.name]


def test_ending_fails_what_is_under_way():
    workers = Workers()
    outcomes = []
    reference = implementations()["numpy-split"]
    workers.run(reference, problem_of(1))
    long = problem_of(2_000_000)
    asking = threading.Thread(target=lambda: outcomes.append(workers.run(reference, long)))
    asking.start()
    time.sleep(0.3)
    workers.end()
    asking.join(timeout=10)
    assert not asking.is_alive()
    assert outcomes[0].status == "error"
    assert "SIGKILL" in outcomes[0].reason


def test_nothing_is_started_after_the_end():
    workers = Workers()
    workers.end()
    assert workers.run(implementations()["numpy-split"], problem_of(1)).reason == "the run was ended"
    with pytest.raises(WorkerFailed):
        workers.introduction(NUMPY)


def test_a_process_is_kept_from_one_request_to_the_next():
    with Workers() as workers:
        reference = implementations()["numpy-split"]
        workers.run(reference, problem_of(1))
        (first,) = workers._crew(NUMPY).processes
        workers.run(reference, problem_of(2))
        assert workers._crew(NUMPY).processes == [first]
        assert workers.versions()["numpy"].keys() == {"numpy"}
        assert workers.starting() == []
