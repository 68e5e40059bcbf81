"""A run that was interrupted or killed resumes, and its report is that of an undisturbed run."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from tests.conftest import SMALL_CASE

TIMINGS = {"seconds", "since"}
TABLES = ("cases", "comparisons", "diagnoses", "elements", "floors", "remarks", "runs", "tolerances", "training")


@pytest.fixture
def slow(workplace):
    """Six cases that take a while, and a cache of their own."""
    take_a_while(workplace)
    return workplace


def take_a_while(workplace):
    case = workplace / "cases" / "small.yaml"
    case.parent.mkdir(exist_ok=True)
    seeds = ", ".join(f"{{normal: 1.0, seed: {seed}}}" for seed in range(6))
    case.write_text(SMALL_CASE.replace("time: 3", "time: 200") + f"sweep: {{inputs: [{seeds}]}}\n")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The tables of an undisturbed run."""
    workplace = tmp_path_factory.mktemp("undisturbed")
    take_a_while(workplace)
    running = begun(workplace)
    running.communicate(timeout=100)
    assert running.returncode == 0
    return without_timings(workplace / "reports/latest")


def begun(workplace, *options, cache="cache"):
    command = [sys.executable, "-m", "harness", "run", "--impl", "numpy-concat,complex-step", *options]
    environment = {**os.environ, "HARNESS_CACHE": str(workplace / cache)}
    return subprocess.Popen(
        command, cwd=workplace, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def answers(workplace, cache="cache"):
    return sum(len(files) for _, _, files in os.walk(workplace / cache / "answers"))


def without_timings(report):
    found = {}
    for table in TABLES:
        with (report / f"{table}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        found[table] = [{name: value for name, value in row.items() if name not in TIMINGS} for row in rows]
    return found


@pytest.mark.parametrize(
    ("how", "enough"),
    [pytest.param(signal.SIGKILL, 1, marks=pytest.mark.full), (signal.SIGKILL, 15), (signal.SIGINT, 15)],
    ids=["killed at the beginning", "killed half-way", "interrupted half-way"],
)
def test_it_goes_on_and_the_report_is_the_same(slow, undisturbed, how, enough):
    running = begun(slow)
    while answers(slow) < enough or not [*(slow / "cache" / "unfinished").glob("*")]:  # the record of the run is there
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(how)
    _, said = running.communicate(timeout=30)
    assert "Traceback" not in said
    if how == signal.SIGINT:
        assert running.returncode == 130
        assert "to resume: harness run --resume --out reports/latest" in said
    assert not (slow / "reports" / "latest").exists()
    kept = answers(slow)

    going_on = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--resume", "--json"],
        cwd=slow, env={**os.environ, "HARNESS_CACHE": str(slow / "cache")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert going_on.returncode == 0, going_on.stderr
    assert json.loads(going_on.stdout)["cases"] == 6
    assert answers(slow) > kept
    assert without_timings(slow / "reports/latest") == undisturbed
    assert [each.name for each in (slow / "reports").iterdir()] == ["latest"]


def test_what_was_there_before_stays_until_the_new_report_is_whole(harness, workplace):
    assert harness("run", "--impl", "numpy-concat").returncode == 0
    before = {each.name: each.read_bytes() for each in (workplace / "reports/latest").iterdir() if each.is_file()}
    running = begun(workplace, "--out", "reports/latest")
    time.sleep(0.5)
    running.kill()
    running.communicate()
    after = {each.name: each.read_bytes() for each in (workplace / "reports/latest").iterdir() if each.is_file()}
    assert after == before


def test_there_must_be_something_to_go_on_with(harness):
    none = harness("run", "--resume")
    assert none.returncode == 2
    assert "no interrupted run into reports/latest was found; leave out --resume to start a run" in none.stderr
    harness("run", "--impl", "numpy-concat")
    assert harness("run", "--resume").returncode == 2


def test_going_on_is_with_the_same(slow, harness):
    running = begun(slow)
    while answers(slow) < 3:
        time.sleep(0.01)
    running.kill()
    running.communicate()
    other = harness("run", "--resume", "--baseline", "torch-cell", HARNESS_CACHE=str(slow / "cache"))
    assert other.returncode == 2
    assert "had baseline 'numpy-split', not 'torch-cell'" in other.stderr
    assert "Traceback" not in other.stderr


def interrupted(running, workplace, enough, cache="cache"):
    """Interrupt a run that has begun and that many answers are kept of; return what it said."""
    while answers(workplace, cache) < enough:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130, said
    return said


def test_the_end_of_one_run_does_not_forget_another_into_the_same_folder(slow, harness):
    running = begun(slow)
    while answers(slow) < 3:
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGSTOP)
    (slow / "other.yaml").write_text(SMALL_CASE)
    cache = {"HARNESS_CACHE": str(slow / "cache")}
    assert harness("run", "other.yaml", "--impl", "numpy-concat", **cache).returncode == 0
    under_way = harness("run", "--resume", **cache)
    assert under_way.returncode == 2, "a run that is under way is not one that was interrupted"
    os.kill(running.pid, signal.SIGCONT)
    assert "to resume: harness run --resume --out reports/latest" in interrupted(running, slow, 3)
    resumed = harness("run", "--resume", "--json", **cache)
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["cases"] == 6
    assert harness("run", "--resume", **cache).returncode == 2, "it has ended"


def test_of_two_that_were_interrupted_each_can_be_resumed(slow, harness):
    cache = {"HARNESS_CACHE": str(slow / "cache")}
    one, other = begun(slow), begun(slow, "--baseline", "numpy-concat")
    while len(list((slow / "cache" / "unfinished").glob("*"))) < 2:
        time.sleep(0.01)
    for each in (one, other):
        interrupted(each, slow, 3)
    first = harness("run", "--resume", "--baseline", "numpy-split", "--json", **cache)
    assert json.loads(first.stdout)["baseline"] == "numpy-split", first.stderr
    assert "another run into reports/latest can be resumed after this one" in first.stderr
    second = harness("run", "--resume", "--json", **cache)
    assert json.loads(second.stdout)["baseline"] == "numpy-concat", second.stderr


@pytest.mark.parametrize("options", [[], ["--no-cache"]], ids=["with the cache", "with --no-cache"])
def test_where_nothing_can_be_kept_no_command_is_advised(workplace, options):
    (workplace / "cache").write_text("a file, where a folder would have to be made")
    done = with_little_room(workplace, *options, HARNESS_CACHE=str(workplace / "cache"))
    assert f"nothing was kept, because {workplace / 'cache'} cannot be written: Not a directory" in done.stderr
    assert "the same command starts from the beginning" in done.stderr
    assert "--resume" not in done.stderr
    assert "Traceback" not in done.stderr


def test_where_only_the_record_is_gone_the_same_command_is_advised(slow):
    running = begun(slow)
    while answers(slow) < 3:
        time.sleep(0.01)
    for record in (slow / "cache" / "unfinished").glob("*"):
        record.unlink()
    said = interrupted(running, slow, 3)
    assert "this run cannot be resumed, because the record of this run was removed from the cache" in said
    assert "the same command uses the answers that were kept" in said
    assert "to resume" not in said


def test_a_run_without_the_cache_goes_on_without_that_of_others(slow, harness):
    """Whatever the dates of files say: here everything that was computed before is dated in the future."""
    cache = {"HARNESS_CACHE": str(slow / "cache")}
    assert begun(slow, "--out", "before").communicate(timeout=100)
    for path in (slow / "cache" / "answers").glob("*/*"):
        os.utime(path, (2**33, 2**33))
    of_before = times(slow / "before")
    running = begun(slow, "--no-cache")
    while len(written_now(slow)) < 4:
        assert running.poll() is None
        time.sleep(0.01)
    interrupted(running, slow, 4)
    own = written_now(slow)
    assert harness("run", "--resume", **cache).returncode == 0
    assert not times(slow / "reports/latest") & of_before, "no answer is another run's"
    assert {path: written_now(slow)[path] for path in own} == own, "none of its own is computed twice"


def written_now(workplace):
    """Return when each answer was written that is not dated in the future."""
    found = {}
    for path in (workplace / "cache" / "answers").glob("*/????????????*"):
        with suppress(FileNotFoundError):
            status = path.stat()
            if status.st_mtime < 2**33 and status.st_size > 100:  # an empty one is a trace of its process
                found[path] = status.st_mtime_ns
    return found


def times(report):
    with (report / "runs.csv").open(newline="") as file:
        return {(row["case"], row["implementation"], row["seconds"]) for row in csv.DictReader(file)}


def seconds(report):
    with (report / "runs.csv").open(newline="") as file:
        return [row["seconds"] for row in csv.DictReader(file)]


def test_without_the_cache_everything_is_computed_anew(harness, workplace):
    harness("run", "--impl", "numpy-concat", "--out", "first")
    harness("run", "--impl", "numpy-concat", "--out", "second")
    harness("run", "--impl", "numpy-concat", "--out", "third", "--no-cache")
    assert seconds(workplace / "first") == seconds(workplace / "second")
    assert seconds(workplace / "first") != seconds(workplace / "third")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_cannot_be_written(harness, workplace):
    (workplace / "reports").mkdir(mode=0o500)
    refused = harness("run", "--impl", "numpy-concat")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


def with_little_room(workplace, *options, **environment):
    """A file-size limit stands for a disk that is filled by others while the run computes."""
    limited = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))\n"
        "from harness.report import folder\n"
        "from harness.cli import main\n"
        "folder.PROBE_BYTES = 0\n"
        "main(['run', '--impl', 'numpy-concat', '--tensors', 'none', *sys.argv[1:]])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, *options],
        cwd=workplace, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    return done


def test_a_disk_that_is_full_is_said_and_nothing_is_lost(harness, workplace):
    cache = {"HARNESS_CACHE": str(workplace / "cache")}
    done = with_little_room(workplace, **cache)
    assert "cannot be written" in done.stderr
    assert "to resume: harness run --resume --out reports/latest; " in done.stderr
    assert "could not be kept, because" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (workplace / "reports").exists()
    assert harness("run", "--resume", **cache).returncode == 0


@pytest.mark.full
def test_a_run_on_dask_goes_on_there_and_the_report_is_the_same(slow, undisturbed):
    running = begun(slow, "--executor", "dask", "--jobs", "1")
    while answers(slow) < 6:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "to resume: harness run --resume --out reports/latest --executor dask" in said
    kept = {path: path.stat().st_mtime_ns for path in (slow / "cache" / "answers").glob("*/*")}
    again = begun(slow, "--resume", "--executor", "dask", "--jobs", "1")
    _, said = again.communicate(timeout=100)
    assert again.returncode == 0, said
    assert without_timings(slow / "reports/latest") == undisturbed
    assert len(kept) >= 6
    # A case is one task: one of which Ctrl-C left a part unkept is asked for as a whole.
    asked_again = [path for path, when in kept.items() if path.stat().st_mtime_ns != when]
    assert len(asked_again) < answers(slow) / 6, "more than what is missing of one case"
