"""The first verdict comes early: what is imported before it, in which order things happen, and what is kept for it."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from harness.case import ValidCase, load, validated
from harness.execution.cache import Store

HEAVY = {
    "pydantic",
    "yaml",
    "pandas",
    "rich",
    "jinja2",
    "psutil",
    "matplotlib",
    "importlib.metadata",
    "harness.api",
    "harness.case.validation",
    "harness.casefile.document",
    "harness.checkpoint.finding",
    "harness.derive.recording",
    "harness.diagnosis.diagnosing",
    "harness.diagnosis.faults",
    "harness.report.pages.index",
    "harness.report.report",
    "reference_impls.network",
}
"""Modules that a right answer to a known case needs neither in the harness's process nor in that of the file."""

AT_THE_VERDICT = """\
import sys, click
echo, seen = click.echo, []
def noted(text="", **more):
    if " compared." in str(text):
        seen.extend(sys.modules)
    echo(text, **more)
click.echo = noted
from harness.cli import main
try:
    main(["check", "my_rnn.py", "small"])
finally:
    print("MODULES", *seen)
"""

OF_THE_FILE = """\
def recorded(problem):
    import sys
    print("MODULES", *sys.modules)
    return right(problem)


mine = harness.implementation("mine")(recorded)
"""


def test_neither_process_imports_what_a_right_answer_does_not_need(check, workplace):
    first = check(OF_THE_FILE, "small")  # validates the case, and computes what the baseline says
    assert first.status == 0
    here = subprocess.run([sys.executable, "-c", AT_THE_VERDICT], capture_output=True, text=True, check=True)
    for text in (here.stdout, first.err):
        modules = set(next(line for line in text.splitlines() if line.startswith("MODULES")).split())
        assert "numpy" in modules
        assert not modules & HEAVY


def test_the_verdict_is_printed_before_the_report_is_written(check, capsys, monkeypatch):
    printed = []

    def refuse(*_):
        printed.append(capsys.readouterr().out)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.report.write", refuse)
    done = check("mine = harness.implementation('mine')(right)\n", "small")
    assert "Passed: 1 match in 1 case;" in printed[0]
    assert done.status == 2
    assert "No space left" in done.err


def test_a_known_file_is_not_validated_again_and_a_changed_one_is(workplace, monkeypatch):
    case = workplace / "cases" / "small.yaml"
    before = load(["small"]).cases
    monkeypatch.setattr("harness.case.validation.validated", lambda *_: pytest.fail("it is validated again"))
    assert load(["small"]).cases == before
    monkeypatch.undo()
    monkeypatch.chdir(workplace)
    case.write_text(case.read_text().replace("time: 4", "time: 0"))
    assert "sizes.time" in str(load(["small"]).mistakes[0])


@pytest.mark.parametrize("other", ["a file of arrays", "an implementation"])
def test_a_case_that_depends_on_more_than_its_text_is_not_kept(other, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(validated, "store", lambda: Store(tmp_path))
    (case,) = load(["basic/tanh[dtype=float32]"]).cases
    monkeypatch.setattr(Store, "put", lambda *_: kept.append(1))
    if other == "an implementation":
        validated.keep("0" * 40, {}, [replace(case, implementations=("numpy-split",))])
    else:
        validated.keep("0" * 40, {"inputs": {"file": "x.npz", "key": "x"}}, [case])
    assert not kept
    validated.keep("0" * 40, {}, [case])
    assert kept


def test_every_case_of_a_network_is_the_same_when_it_is_recalled():
    loaded = load(["basic", "cells", "truncation", "training"])
    changed = [
        case.name for case in loaded.cases if ValidCase.from_plain(json.loads(json.dumps(case.to_plain()))) != case
    ]
    assert loaded.cases
    assert not changed


def test_several_files_each_have_a_page_a_report_and_an_entry_of_the_json(check, workplace):
    assert check("mine = harness.implementation('mine')(right)\n", "small").status == 0
    (workplace / "wrong.py").write_text(
        (workplace / "my_rnn.py").read_text().replace('d_a @ w["W_hh"].T', 'd_a @ w["W_hh"]')
    )
    (workplace / "broken.py").write_text("import nothing_of_this_name\n")
    done = check.command("check", "my_rnn.py", "wrong.py", "broken.py", "small")
    assert done.status == 2
    assert "1 of 3 files passed" in done.out
    assert (workplace / "reports" / "check" / "wrong" / "index.html").is_file()
    found = json.loads(check.command("check", "my_rnn.py", "wrong.py", "broken.py", "small", "--json").out)
    right, wrong, broken = found["files"]
    assert (found["exit_status"], right["exit_status"], wrong["exit_status"]) == (2, 0, 1)
    assert wrong["results"][0]["diagnoses"][0]["fault"] == "carry-untransposed"
    assert "nothing_of_this_name" in broken["refused"]
