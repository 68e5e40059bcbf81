"""A case over which every Dask worker is lost: it is an error with the reason, and the others' rows are there."""

import dask
import pytest
from distributed import LocalCluster, WorkerPlugin

from harness.cache import Store
from harness.implementations import implementations
from harness.session import execute
from harness.session.executors import begin
from harness.worker import Memory
from tests.session.test_executors import CASES

DEADLY = "many/3"
OF_TWO_DTYPES = [case for case in CASES[:20] if not (case.name == DEADLY and case.dtype == "float64")]


@pytest.fixture
def cluster():
    """Workers that die when they are asked about one case, and are started again."""

    class Deadly(WorkerPlugin):
        def setup(self, worker):  # noqa: ARG002 - Dask passes it by name
            import os
            import signal

            from harness.session.station import Station

            answer = Station.answer

            def answer_or_die(station, request):
                if b'"many/3"' in request:
                    os.kill(os.getpid(), signal.SIGKILL)
                return answer(station, request)

            Station.answer = answer_or_die

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster,
        cluster.get_client() as client,
    ):
        client.register_plugin(Deadly())
        yield cluster


def test_it_is_an_error_with_the_reason_and_the_other_rows_are_there(cluster, tmp_path):
    there = implementations()
    others = [there["numpy-concat"]]
    with begin("dask", Memory(store=Store(tmp_path)), scheduler=cluster.scheduler_address) as executor:
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
