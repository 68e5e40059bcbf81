"""The commands on a system without what POSIX has, such as Windows: modules and calls are hidden by sitecustomize."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

HIDING = Path(__file__).parent / "no_posix"

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path):
    """Run Python in an empty folder, without what POSIX has."""
    path = os.pathsep.join(map(str, (HIDING, ROOT)))
    variables = {"PYTHONPATH": path, "HARNESS_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path / "scratch")}
    (tmp_path / "scratch").mkdir()
    here = tmp_path / "here"
    here.mkdir()

    def run(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=here, env={**os.environ, **variables}, capture_output=True, text=True, timeout=200, check=False
        )

    run.folder = here
    yield run
    assert list((tmp_path / "scratch").iterdir()) == [], "files of processes are left behind"


def harness(run, *arguments):
    return run("-m", "harness", *arguments)


def test_what_is_hidden_is_hidden(run):
    code = "import os, signal\nassert not hasattr(os, 'fork')\nassert not hasattr(signal, 'SIGKILL')\nimport {}"
    for module in ("fcntl", "resource", "termios", "pwd"):
        assert f"No module named '{module}'" in run("-c", code.format(module)).stderr
    done = run("-c", "from harness import system\nprint(system.POSIX, system.chosen.__name__)")
    assert done.stdout.split() == ["False", "harness.system.plain"], done.stderr


def test_python_loads_and_runs(run):
    done = run(
        "-c",
        "import harness\n"
        "problem = harness.load_case('basic/tanh[dtype=float64]').problem()\n"
        "right, other = (harness.run(name, problem) for name in ('numpy-split', 'numpy-concat'))\n"
        "print(harness.compare(other, right).matches)",
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_every_module_of_the_harness_can_be_imported(run):
    done = run(
        "-c",
        "import importlib, pkgutil, harness\n"
        "OTHERS = 'harness.derive.namespaces.', 'harness.execution.session.executors.dask', 'harness.system.posix'\n"
        "for module in pkgutil.walk_packages(harness.__path__, 'harness.'):\n"
        "    if not module.name.startswith((*OTHERS, 'harness.__main__')):\n"
        "        importlib.import_module(module.name)",
    )
    assert done.returncode == 0, done.stderr


def test_a_file_is_checked(run):
    assert harness(run, "new", "--implementation", "my_rnn.py").returncode == 0
    done = harness(run, "check", "my_rnn.py", "basic/tanh")
    assert done.returncode == 0, done.stderr
    assert "Passed: 2 match" in done.stdout
    assert (run.folder / "reports" / "check" / "index.html").is_file()
    file = run.folder / "my_rnn.py"
    file.write_text(file.read_text().replace("d_a @ W_hh.T", "d_a @ W_hh"))
    done = harness(run, "check", "my_rnn.py", "basic/tanh")
    assert done.returncode == 1, done.stderr
    assert "Likely cause: carry-untransposed" in done.stdout
    left = sorted(path.name for path in (run.folder / "reports").iterdir())
    assert left == ["check"], "a report replaces another and leaves nothing"


ODD = """\
import os
import time

import harness


@harness.implementation("mine")
def mine(problem):
    print("printed for", problem.case.dtype)
    if problem.case.dtype == "float32":
        time.sleep(100)
    os._exit(7)
"""


def test_a_file_that_hangs_or_ends_costs_its_case(run):
    (run.folder / "odd.py").write_text(ODD)
    done = harness(run, "check", "odd.py", "basic/tanh", "--limit", "4")
    assert done.returncode == 3, done.stderr
    assert "did not answer within 4 s; it was at odd.py:11 in mine" in done.stdout
    assert "ended with status 7" in done.stdout
    assert "printed for float32" in done.stderr
    assert "printed for float64" in done.stderr


def test_a_process_does_not_outlive_the_harness(run):
    import psutil

    (run.folder / "slow.py").write_text(ODD.replace('"float32"', "problem.case.dtype"))
    path = os.pathsep.join(map(str, (HIDING, ROOT)))
    variables = {**os.environ, "PYTHONPATH": path, "HARNESS_CACHE": str(run.folder / "cache")}
    command = [sys.executable, "-m", "harness", "check", "slow.py", "basic/tanh"]
    with subprocess.Popen(command, cwd=run.folder, env=variables, stderr=subprocess.DEVNULL) as running:
        there = psutil.Process(running.pid)
        children: list[psutil.Process] = []
        while not children and running.poll() is None:
            children = there.children()
        assert children
        running.kill()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive


def test_cases_are_run_with_numpy(run):
    done = harness(run, "run", "basic/tanh", "--impl", "numpy-concat,complex-step")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed: 2 of 2 cases as expected: 4 match" in done.stdout
    again = harness(run, "run", "basic/tanh", "--impl", "numpy-concat,complex-step")
    assert again.returncode == 0, again.stderr
    assert harness(run, "diff", "reports/latest", "reports/latest").returncode == 0


@pytest.mark.framework("torch")
def test_cases_are_run_with_torch(run):
    done = harness(run, "run", "basic/tanh", "--impl", "torch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed: 2 of 2 cases as expected: 2 match" in done.stdout


def test_an_executor_that_the_system_cannot_have_is_a_message(run):
    done = harness(run, "run", "basic/tanh", "--impl", "numpy-concat", "--executor", "dask")
    assert done.returncode == 2
    assert "--executor dask cannot be used on this system" in done.stderr
    assert "Traceback" not in done.stderr
