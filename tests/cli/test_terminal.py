"""Processes whose terminal, disk, encoding or user does something else than wait for the end."""

import ast
import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from harness.cli import main
from harness.cli.group import command_line
from harness.tensors import Structure
from tests.conftest import FAULTY, ROOT, SMALL_CASE

RIGHT = """\
import numpy as np
import harness


@harness.implementation("mine")
def mine(problem):
    run = harness.run("numpy-split", problem)
    return {"layer0.W_hh": FACTOR * run.gradients["layer0.W_hh"]}


FACTOR = 1.0
"""
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def wrong(harness, workplace):
    """A gradient that is wrong, beside the report of when it was right."""
    (workplace / "mine.py").write_text(RIGHT)
    assert harness("check", "mine.py").returncode == 0
    (workplace / "mine.py").write_text(RIGHT.replace("1.0", "-1.0"))
    return workplace


def verdicts(report):
    return set(re.findall(r",(match|mismatch|error),", (report / "comparisons.csv").read_text()))


def begun(workplace, *arguments, python=(), environment=None, **streams):
    """Begin a command in a process of its own."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8", **streams}
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    command = [sys.executable, *python, "-m", "harness", *arguments]
    return subprocess.Popen(command, cwd=workplace, env=variables, **streams)


@pytest.fixture
def called(workplace, monkeypatch, capfd):
    """Call the command line here; return its status, output and errors."""
    monkeypatch.chdir(workplace)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(each) for each in arguments])
        return end.value.code, *capfd.readouterr()

    return call


def test_the_report_is_written_though_nothing_reads_what_is_printed(wrong):
    reading, writing = os.pipe()
    os.close(reading)
    running = begun(wrong, "check", "mine.py", stdout=writing)
    os.close(writing)
    _, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (1, "")
    assert "mismatch" in verdicts(wrong / "reports/check")


def test_the_report_is_written_though_its_page_fails(called, wrong, monkeypatch):

    def stopped(*_):
        raise RuntimeError("printing was stopped")

    monkeypatch.setattr("harness.candidate.check.page.lines", stopped)
    assert called("check", "mine.py")[0] == 70
    assert "mismatch" in verdicts(wrong / "reports/check")


PRINTING = {
    "list cases": 0,
    "list implementations": 0,
    "list faults": 0,
    "schema": 0,
    "validate": 0,
    "new other --json": 0,
    "show report": 0,
    "show report --json": 0,
    "diff report report": 0,
    "judge report --rtol 1e-3": 0,
    "diagnose small --impl numpy-concat": 0,
    "sensitivity small": 0,
    "run --impl numpy-concat --out second": 0,
    "run --impl numpy-concat --out second --json": 0,
    "port m.npz --to npz out.npz --proof proof": 0,
    "fuzz --cases 1 --seed 1 --impl numpy-concat": 0,
    "show nowhere": 2,
    "--help": 0,
}


@pytest.fixture
def stocked(called, workplace):
    """A workplace with a report and a checkpoint."""
    assert called("run", "--impl", "numpy-concat", "--out", "report")[0] == 0
    shapes = Structure("rnn", 1, 1, 1, 2, 3, None).weights
    np.savez(workplace / "m.npz", **{name: np.full(shape, 0.3) for name, shape in shapes.items()})
    return workplace


@pytest.mark.parametrize(("command", "status"), PRINTING.items(), ids=PRINTING)
def test_the_status_is_the_verdict_whatever_becomes_of_the_output(called, stocked, monkeypatch, command, status):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as unread, os.fdopen(os.dup(writing), "w") as also_unread:
        monkeypatch.setattr(sys, "stdout", unread)
        monkeypatch.setattr(sys, "stderr", also_unread)
        assert called(*command.split())[0] == status
    for written in re.findall(r"--(?:out|proof) (\w+)", command):
        assert verdicts(stocked / written) == {"match"}


@pytest.mark.parametrize(
    ("factor", "to", "status", "words"),
    [
        ("1.0", "stdout", 2, "Error: standard output cannot be written: No space left on device\n"),
        ("-1.0", "stdout", 1, "Error: standard output cannot be written: No space left on device\n"),
        ("1.0", "stderr", 0, "1 match"),
    ],
    ids=["right", "wrong", "standard error"],
)
def test_output_that_is_cut_off_by_a_full_disk_is_no_success(workplace, factor, to, status, words):
    (workplace / "mine.py").write_text(RIGHT.replace("1.0", factor))
    with open("/dev/full", "w") as full:  # noqa: PTH123
        running = begun(workplace, "check", "mine.py", **{to: full})
        said = "".join(filter(None, running.communicate(timeout=60)))
    assert running.returncode == status, said
    assert words in said
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert verdicts(workplace / "reports/check") == {"match" if factor == "1.0" else "mismatch"}


def test_streams_that_are_closed_are_no_obstacle(workplace):
    (workplace / "mine.py").write_text(RIGHT)
    shell = f"'{sys.executable}' -m harness check mine.py <&- >&- 2>&-"
    done = subprocess.run(shell, shell=True, cwd=workplace, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0
    assert verdicts(workplace / "reports/check") == {"match"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_any_encoding_of_the_output_is_written(workplace, encoding):
    (workplace / "cases" / "small.yaml").write_text(SMALL_CASE.replace("about: Small", "about: Größe ≤ 5 — klein"))
    found = {}
    for options in ([], ["--json"]):
        running = begun(
            workplace, "list", "cases", *options, environment={"PYTHONIOENCODING": encoding}, encoding=encoding
        )
        found[len(options)], errors = running.communicate(timeout=60)
        assert (running.returncode, errors) == (0, "")
    assert r"\u2264 5 \u2014 klein" in found[0]
    assert ("Größe" if encoding == "latin-1" else r"Gr\xf6\xdfe") in found[0]
    assert json.loads(found[1])[0]["about"].startswith("Größe ≤ 5 — klein")


HOSTILE = """\
import harness

print("\\x1b]0;owned\\x07 when imported", flush=True)


@harness.implementation("mine")
def mine(problem):
    print("\\x1b]8;;http://x\\x07 when called \\x9b2J\\u202e")
    raise ValueError("\\x1b[2J\\x07 raised \\u202e \\x9d0;owned\\x9c")
"""


@pytest.mark.parametrize("terminal", [False, True], ids=["to files", "to a terminal"])
def test_no_control_sequence_of_a_users_code_reaches_the_terminal(workplace, terminal):
    (workplace / "mine.py").write_text(HOSTILE)
    if terminal:
        text = in_a_terminal(workplace, "check", "mine.py")
        text = re.sub(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[12]?[AK]|\r", "", text)  # the progress bar's
    else:
        text = "".join(begun(workplace, "check", "mine.py").communicate(timeout=60))
    assert r"\x1b]0;owned\x07 when imported" in text
    assert r"\x1b]8;;http://x\x07 when called \x9b2J\u202e" in text
    assert r"ValueError: \x1b[2J\x07 raised \u202e \x9d0;owned\x9c" in text
    assert not OBEYED.findall(text)


def in_a_terminal(workplace, *arguments):
    """Run a command whose streams are a terminal; return everything that the terminal got."""
    ours, its = pty.openpty()
    variables = {"TERM": "xterm", "COLUMNS": "200"}
    running = begun(workplace, *arguments, environment=variables, stdin=its, stdout=its, stderr=its)
    os.close(its)
    got = b""
    while True:
        try:
            got += os.read(ours, 1 << 16)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    running.wait(timeout=60)
    return got.decode()


@pytest.mark.parametrize("command", ["show report", "show report --case small", "diff a b"])
def test_no_control_sequence_of_a_report_reaches_the_terminal(called, workplace, command):
    if command.startswith("show"):
        assert called("run", "--impl", "numpy-concat", "--out", "report")[0] == 0
        for table in (workplace / "report").glob("*.csv"):
            table.write_text(table.read_text().replace("numpy-concat", "numpy\x1b]0;owned\x07"))
    _, out, errors = called(*command.replace("a b", "\x1b]0;owned\x07 b").split())
    assert "owned" in out + errors
    assert not OBEYED.findall(out + errors)


@pytest.mark.parametrize("command", ["list cases", "validate", "run --impl numpy-concat"])
def test_no_control_sequence_of_a_case_file_reaches_the_terminal(called, workplace, command):
    evil = r"\e]0;owned\a \x9b2J \u202e"
    case = workplace / "cases" / "small.yaml"
    case.write_text(SMALL_CASE.replace("Small,", evil).replace("about: ", 'about: "').replace("nothing.", 'nothing."'))
    (workplace / "cases" / "two.yaml").write_text('sizes: {batch: 1, "ti\\e]0;owned\\ame": 2}\n')
    _, out, errors = called(*command.split())
    assert r"the character \x1b is not allowed" in out + errors
    assert not OBEYED.findall(out + errors)


@pytest.mark.parametrize("error", [RuntimeError("a mistake of ours"), BrokenPipeError(errno.EPIPE, "a worker's pipe")])
@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("run --impl numpy-concat --out report", "to resume: harness run --resume --out report"),
        ("check mine.py --out report", "the report in report is still the one of the last complete run"),
    ],
    ids=["run", "check"],
)
def test_an_error_of_ours_is_no_verdict_and_says_what_is_kept(called, stocked, monkeypatch, error, command, kept):
    def fail(*_, **__):
        raise error

    (stocked / "mine.py").write_text(RIGHT)
    monkeypatch.setattr("harness.report.write", fail)
    status, _, errors = called(*command.split())
    assert status == 70
    assert "Traceback" in errors
    assert "the report in report is still the one of the last complete run\n" in errors
    assert kept in errors
    assert "please report the lines above" in errors
    assert verdicts(stocked / "report") == {"match"}


PATHS = {
    "check --out": "check mine.py --out {}/x",
    "run --out": "run --impl numpy-concat --out {}/x",
    "run CASE": "run {}",
    "run --weights": "run --weights {}.npz",
    "judge --out": "judge report --out {}/x",
    "port IN": "port {}.npz --to npz out.npz",
    "port OUT": "port m.npz --to npz {}.npz",
    "port --proof": "port m.npz --to npz out.npz --proof {}/x",
    "bench --out": "bench --quick --impl numpy-split --cell rnn --out {}/x",
    "new NAME": "new {}",
    "new --implementation": "new --implementation {}",
    "new --like": "new other --like {}",
    "diagnose CASE": "diagnose {} --impl numpy-concat",
    "show": "show {}",
    "diff": "diff report {}",
    "check FILE": "check {}.py",
}


@pytest.mark.parametrize("command", PATHS.values(), ids=PATHS)
def test_a_path_that_the_file_system_refuses_is_a_message(called, stocked, command):
    """A name that is too long is refused to every user; what permissions forbid is not forbidden to root."""
    (stocked / "mine.py").write_text(RIGHT)
    name = "n" * 300
    status, _, errors = called(*command.format(name).split())
    assert status == 2
    assert name in errors
    assert re.search("File name too long$|there is no such file, folder or case", errors.rstrip())
    assert "Traceback" not in errors


def test_a_fuzzed_case_that_cannot_be_written_is_a_message_and_can_be_found_again(called, workplace, monkeypatch):
    from harness.fuzz import searching

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "cases/found/one.yaml")

    monkeypatch.setattr(searching.FuzzSearch, "__init__", refuse)
    status, _, errors = called("fuzz", "--cases", "1", "--seed", "7", "--impl", "numpy-concat")
    assert status == 2
    assert "cases/found/one.yaml cannot be written: No space left on device" in errors
    assert "harness fuzz --seed 7" in errors


@pytest.mark.parametrize("module", ["select", "click"], ids=["before its handler is there", "under its handler"])
def test_an_interrupt_while_the_command_line_is_imported_is_one(workplace, module):
    """A module in place of one that is imported stands for any moment of the import."""
    (workplace / f"{module}.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    path = os.pathsep.join([str(workplace), str(ROOT)])
    running = begun(workplace, "--help", environment={"PYTHONPATH": path})
    said = running.communicate(timeout=60)
    assert (running.returncode, *said) == (130, "", "interrupted\n")


def test_further_interrupts_leave_no_traceback_no_process_and_no_half_report(workplace):
    (workplace / "mine.py").write_text(RIGHT + "\n\nimport time\ntime.sleep(60)\n")
    running = begun(workplace, "check", "mine.py", "--limit", "100", start_new_session=True)
    while not (workers := psutil.Process(running.pid).children()):
        assert running.poll() is None
        time.sleep(0.01)
    while running.poll() is None:
        running.send_signal(signal.SIGINT)
        time.sleep(0.005)
    said = running.communicate(timeout=30)
    assert (running.returncode, *said) == (130, "", "interrupted\n")
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    assert not (workplace / "reports").exists()


def test_explanations_are_the_same_under_optimised_python(workplace):
    said, faulty = {}, {"PYTHONPATH": os.pathsep.join([str(FAULTY), str(ROOT)])}
    for python in ([], ["-O"]):
        command = ("diagnose", "small", "--impl", "transposed", "--json")
        running = begun(workplace, *command, python=python, environment=faulty)
        said[len(python)], errors = running.communicate(timeout=60)
        assert (running.returncode, errors) == (1, "")
    assert "transpose of the right one" in said[0]
    assert said[0] == said[1]


def test_a_shell_gets_what_completes_a_line(workplace):
    asked = {"_HARNESS_COMPLETE": "bash_complete", "COMP_WORDS": "harness sh", "COMP_CWORD": "1"}
    running = begun(workplace, environment=asked)
    assert running.communicate(timeout=60) == ("plain,show\n", "")


def test_python_without_docstrings_is_refused(workplace):
    running = begun(workplace, "list", "faults", python=["-OO"])
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 2
    assert "docstrings" in errors


def sources():
    return sorted(path for package in ("harness", "reference_impls") for path in (ROOT / package).rglob("*.py"))


def test_asserts_only_narrow_types():
    """``python -O`` leaves them out, so that they may neither do nor check anything."""
    trees = {path: ast.parse(path.read_text()) for path in sources()}
    functions = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    computed = {each.name for each in functions if any("property" in ast.unparse(d) for d in each.decorator_list)}

    def stored(node):
        """Return whether it is a name, or an attribute stored under one."""
        if isinstance(node, ast.Attribute):
            return node.attr not in computed and stored(node.value)
        return isinstance(node, ast.Name)

    def narrows(test):
        match test:
            case ast.Compare(left=left, ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
                return stored(left)
            case ast.Compare(left=left, ops=[ast.NotEq()], comparators=[ast.Constant(value=str())]):
                return stored(left)
            case ast.Call(func=ast.Name(id="isinstance"), args=[one, _]):
                return stored(one)
        return stored(test)

    asserts = [(path, node) for path, tree in trees.items() for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert asserts, "the search finds none"
    assert [f"{path}:{node.lineno}: {ast.unparse(node)}" for path, node in asserts if not narrows(node.test)] == []


def test_commands_print_by_the_door_alone():
    """``click.echo``, the tables of ``screen`` and ``write_json`` go through it; ``rich`` alone would not.

    A shell that asks what completes a line gets bytes, which no door takes.
    """
    for path in (ROOT / "harness" / "cli").glob("*.py"):
        text = path.read_text()
        without = text.replace("with redirect_stdout(sys.__stdout__):", "")
        passed_by = r"(?<!\.)\bprint\(|\bjson\.dumps\(|sys\.__std|os\.write\((?!2, b)|\.buffer\b"
        assert not re.search(passed_by, without), path
        assert path.stem == "screen" or "rich" not in {name.split(".")[0] for name in imported(text)}, path


def imported(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_every_command_that_prints_is_tried_here():
    elsewhere_or_slow = {"check", "mark", "bench", "doctor"}
    assert {command.split()[0] for command in PRINTING} >= {*command_line.list_commands(None)} - elsewhere_or_slow
