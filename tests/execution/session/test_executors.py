"""Whatever works on the cases, and with however many processes: the tables are the same."""

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from distributed import LocalCluster

from harness.case import Loss, Sizes, ValidCase
from harness.execution.cache import Store
from harness.execution.processes import AnswerCache
from harness.execution.processes import fingerprint as fingerprints
from harness.execution.processes.exchanges import Lost
from harness.execution.session import execute
from harness.execution.session.executors import ExecutorFailed, begin, names
from harness.execution.session.running import AtOnce, answered, judge_case
from harness.execution.session.station import Station, of_case, to_answers
from harness.implementations import implementations
from harness.problem import build

CASES = [
    ValidCase(
        name=f"many/{seed}",
        file="many",
        sizes=Sizes(batch=1, time=4, input=2, hidden=3),
        dtype=dtype,
        weights={"normal": 1.0, "seed": seed},
        inputs={"normal": 1.0, "seed": seed},
        loss=Loss(kind="dot"),
        upstream="ones",
    )
    for seed in range(25)
    for dtype in ("float32", "float64")
]
TIMINGS = {"seconds"}


def tables_of(run):
    """Every table of a run, as text, without timings."""
    from harness.report import of_run

    report = of_run(run)
    return {
        name: [{column: repr(value) for column, value in row.items() if column not in TIMINGS} for row in rows]
        for name, rows in {**report.tables, "elements": report.elements()}.items()
    }


def run_with(executor, cases=CASES, others=("numpy-concat",), meanwhile=None):
    """Run cases; call a function when a tenth of them is done."""
    there = implementations()
    for run in execute(cases, [there[name] for name in others], there["numpy-split"], executor):
        if meanwhile is not None and len(run.outcomes) == len(cases) // 10:
            meanwhile()
    return run


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("answers"))
    with begin("local", AnswerCache(store=store), jobs=1) as executor:
        run = run_with(executor)
    assert len(run.outcomes) == len(CASES)
    return tables_of(run)


def test_the_command_line_offers_what_there_is():
    from harness.cli.run import command

    (option,) = [each for each in command.params if each.name == "executor"]
    assert list(option.type.choices) == sorted(names(), key=["local", "dask"].index)


def test_three_jobs_make_no_difference(expected, tmp_path):
    with begin("local", AnswerCache(store=Store(tmp_path)), jobs=3) as executor:
        executor.asking.expect(implementations()["numpy-split"].framework, 10**9)
        run = run_with(executor)
        assert len(executor.asking._crew(implementations()["numpy-split"].framework).processes) > 1
    assert tables_of(run) == expected


@pytest.fixture(scope="module")
def cluster():
    """A cluster that is not the run's own."""
    with LocalCluster(
        n_workers=2, threads_per_worker=4, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL
    ) as cluster:
        yield cluster


def frameworks_below(pid):
    """The processes of frameworks that a process, or one below it, has started, by number."""
    found = set()
    for each in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found |= {each.pid} if "harness.execution.processes" in each.cmdline() else set()
    return found


def test_dask_makes_no_difference_though_a_worker_is_lost(expected, cluster, tmp_path):
    store = Store(tmp_path)
    lost, stays = (nanny.process.pid for nanny in cluster.workers.values())
    frameworks = set()

    def lose():
        frameworks.update(frameworks_below(lost), frameworks_below(stays))
        os.kill(lost, signal.SIGKILL)

    with begin("dask", AnswerCache(store=store), scheduler=cluster.scheduler_address) as executor:
        run = run_with(executor, meanwhile=lose)
        baseline, other = implementations()["numpy-split"], implementations()["numpy-concat"]
        for case in CASES:  # raises if it is not
            answered(build(case, None), [baseline, other], executor.cached(), AtOnce())
    assert tables_of(run) == expected
    assert run.executor == "dask"
    assert [machine["cases"] for machine in run.machines] == [len(CASES)]
    assert len(frameworks) >= 4, "NumPy and FLINT at each"
    psutil.wait_procs([psutil.Process(pid) for pid in frameworks if psutil.pid_exists(pid)], timeout=10)
    assert not [pid for pid in frameworks if psutil.pid_exists(pid)]


def test_workers_with_another_version_are_not_used(cluster, monkeypatch, tmp_path):
    real = fingerprints._version_of
    monkeypatch.setattr(fingerprints, "_version_of", lambda name: "1.0" if name == "numpy" else real(name))
    with (
        begin("dask", AnswerCache(store=Store(tmp_path)), scheduler=cluster.scheduler_address) as executor,
        pytest.raises(ExecutorFailed, match=r"cannot be used: numpy is .*, but should be 1\.0; install"),
    ):
        run_with(executor, CASES[:1])


def test_a_case_that_takes_every_worker_along_is_an_error_of_its_own():
    baseline, other = implementations()["numpy-split"], implementations()["numpy-concat"]
    problem = build(CASES[0], None)
    outcome = judge_case(
        problem, [baseline, other], *answered(problem, [baseline, other], Lost("gone"), AtOnce()), "all"
    )
    assert [(each.status, each.verdict, each.reason) for each in outcome.judged] == [
        ("error", None, "gone"), ("error", "error", "gone"),
    ]  # fmt: skip


def test_a_worker_that_comes_later_with_another_version_refuses():
    own = fingerprints.fingerprint(["numpy"])
    other = {**own, "modules": {**own["modules"], "numpy": "1.0"}}
    station = Station(other, {"numpy": 1}, cases_at_once=1, jobs=1)
    message, exchanges, _ = to_answers(station.answer(of_case(build(CASES[0], None), [])))
    station.close()
    assert message.header["refused"] == f"numpy is {own['modules']['numpy']}, but should be 1.0"
    assert exchanges == []


def test_a_scheduler_that_is_not_there(monkeypatch, tmp_path):
    from harness.execution.session.executors import dask

    monkeypatch.setattr(dask, "PATIENCE", 0.3)
    with pytest.raises(
        ExecutorFailed, match=r"no Dask scheduler can be reached at tcp://127.0.0.1:9: .*`dask scheduler`"
    ):
        begin("dask", AnswerCache(store=Store(tmp_path)), scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ExecutorFailed, match="unknown address scheme"):
        begin("dask", AnswerCache(store=Store(tmp_path)), scheduler="nowhere://127.0.0.1:9")
    with pytest.raises(ExecutorFailed, match="has its own"):
        begin("dask", AnswerCache(store=Store(tmp_path)), jobs=2, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ExecutorFailed, match="local processes need none"):
        begin("local", AnswerCache(store=Store(tmp_path)), scheduler="tcp://127.0.0.1:9")


def test_without_dask_the_command_to_install_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "harness.execution.session.executors.dask", raising=False)
    with pytest.raises(
        ExecutorFailed, match=r"needs distributed, which is not installed; pip install 'bptt-harness\[dask\]'"
    ):
        begin("dask", AnswerCache())


def test_a_mistake_of_ours_is_not_taken_for_a_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "harness.execution.session.executors.local", None)
    with pytest.raises(ModuleNotFoundError, match=r"harness\.execution\.session\.executors\.local"):
        begin("local", AnswerCache())


def test_ctrl_c_ends_everything(workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text().replace("time: 3", "time: 200000"))
    command = [sys.executable, "-m", "harness", "run", "--impl", "numpy-concat", "--executor", "dask", "--jobs", "1"]
    running = subprocess.Popen(command, cwd=workplace, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not frameworks_below(running.pid):
        assert running.poll() is None
        time.sleep(0.1)
    below = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal sends it: to the Dask worker, too
    _, chatter = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "after 0 of 1 cases; to resume: harness run --resume --out reports/latest --executor dask" in chatter
    assert "Traceback" not in chatter
    _, left = psutil.wait_procs(below, timeout=10)
    assert not left
