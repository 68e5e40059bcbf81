"""The process of a user's file as a copy of the command's own: it has nothing of the command but imported modules."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the process starts anew"),
]

DECLARED = """\
import os, signal, subprocess, sys
import harness


@harness.implementation("mine")
def mine(problem):
"""
CHECK = [sys.executable, "-m", "harness", "check", "my_rnn.py", "basic/tanh[dtype=float64]"]


@pytest.fixture
def check(tmp_path):
    """Check a file with this function of the problem, which stands beside a module with the name of one of Python's."""

    def run(body, by=(), **more):
        (tmp_path / "my_rnn.py").write_text(DECLARED + textwrap.indent(textwrap.dedent(body), "    "))
        return subprocess.run([*by, *CHECK], cwd=tmp_path, capture_output=True, text=True, check=False, **more)

    return run


def test_it_is_forked_and_has_nothing_of_the_command(check):
    done = check("""\
        print("FOUND", os.getsid(0) == os.getpid(), "click" in sys.modules, sys.argv[1:], os.environ["OMP_NUM_THREADS"])
        print("OPEN", len(os.listdir("/proc/self/fd")), os.getcwd() in sys.path[1:], sys.stdin.read() == "")
        print("SIGNALS", signal.getsignal(signal.SIGINT) is signal.default_int_handler,
              signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        print("CODE", open("/proc/self/cmdline").read().split(chr(0))[2:4])
        sys.stderr.write("no end of line")
        return {}
    """)
    assert "FOUND True False [] 1" in done.stderr
    assert "SIGNALS True set()" in done.stderr
    assert "CODE ['harness', 'check']" in done.stderr, "the process was started anew"
    assert "no end of line" in done.stderr
    descriptors = int(done.stderr.split("OPEN ")[1].split()[0])
    assert descriptors == 10, "streams, messages, the lifeline, the null device, dump, notes and the listing"
    assert f"OPEN {descriptors} False True" in done.stderr


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("os._exit(3)", "ended with status 3"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV; it was at my_rnn.py:7 in mine"),
    ],
    ids=["exit", "segmentation fault"],
)
def test_its_crash_is_an_outcome(check, body, words):
    done = check(body)
    assert done.returncode == 3
    assert words in done.stdout


def test_what_it_started_ends_with_it(check, tmp_path):
    number = tmp_path / "number"
    done = check(f"""\
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        open({str(number)!r}, "w").write(str(child.pid))
        return {{}}
    """)
    assert "empty dictionary" in done.stdout
    deadline = time.monotonic() + 10
    while (there := Path(f"/proc/{number.read_text()}").exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not there


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_during_the_first_imports_ends_the_command(check, tmp_path, number, status):
    (tmp_path / "numpy.py").write_text(
        "import os, sys\n"
        f"os.kill(os.getpid(), {int(number)})\n"
        "sys.path.remove(os.path.dirname(__file__))\ndel sys.modules['numpy']\nimport numpy\n"
    )
    done = check(
        "return {}", env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    )
    assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr


def test_without_standard_input_it_starts_anew(check):
    done = check("return {}", by=("sh", "-c", 'exec "$@" <&-', "sh"))
    assert "empty dictionary" in done.stdout, done.stderr
