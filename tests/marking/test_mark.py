"""A folder of submissions as a table: each file's own row, whatever it does."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from harness.candidate.marking.files import found_in, is_about_a_recurrence
from harness.candidate.marking.mark import Mark, of_check
from harness.candidate.marking.page import summary, text

SUBMISSIONS = Path(__file__).parent / "submissions"

NO_PYTHON = """\
import harness


@harness.implementation("mine")
def my_bptt(problem)
    return {}
"""

EXPECTED = {
    "alice/leaky.py": ("wrong", "leak"),
    "asks.py": ("does not run", "EOFError"),
    "bias_of_the_last_step.py": ("wrong", "layer0.b_h"),
    "borrowed.py": ("calls the reference", "harness.problem.reference"),
    "crashes.py": ("does not run", "status 7"),
    "endless.py": ("hangs", "it was at endless.py:"),
    "exits.py": ("does not run", "SystemExit: done"),
    "forward_without_bias.py": ("wrong", "bias-left-out"),
    "minus.py": ("wrong", "upstream-scaled"),
    "none in it.py": ("does not run", "there is no implementation in it"),
    "part.py": ("part", "layer0.W_xh, layer0.b_h"),
    "prints.py": ("right", ""),
    "raises.py": ("does not run", "ValueError: matmul"),
    "right.py": ("right", ""),
    "slope_forgotten.py": ("wrong", "slope-missing"),
    "state_after_the_step.py": ("wrong", "state-after-for-state-before"),
    "syntax.py": ("does not run", "syntax.py:5: SyntaxError"),
    "two.py": ("does not run", "several implementations"),
    "untransposed.py": ("wrong", "carry-untransposed"),
}


@pytest.mark.slow
def test_each_file_has_the_row_that_it_deserves(harness, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SUBMISSIONS, tmp_path / "class")
    (tmp_path / "class" / "syntax.py").write_text(NO_PYTHON)
    done = harness("mark", "class", "basic/tanh", "--limit", "20", "--json")
    found = json.loads(done.stdout)
    marks = {each["file"]: Mark(**each) for each in found["marks"]}
    assert marks.keys() == EXPECTED.keys()
    wrong = {
        file: (each.mark, each.explanation)
        for file, each in marks.items()
        if each.mark != EXPECTED[file][0] or EXPECTED[file][1] not in each.explanation
    }
    assert not wrong
    assert done.returncode == found["exit_status"] == 2  # syntax.py cannot be run at all
    with (tmp_path / "reports/marks/marks.csv").open(encoding="utf-8", newline="") as file:
        assert {row["file"]: row["mark"] for row in csv.DictReader(file)} == {k: v[0] for k, v in EXPECTED.items()}
    page = (tmp_path / "reports/marks/index.html").read_text(encoding="utf-8")
    assert all(file in page for file in EXPECTED)
    assert (tmp_path / "reports/marks/files/untransposed/index.html").is_file()
    assert 'href="files/untransposed/index.html"' in page


@pytest.mark.parametrize(("options", "mark", "status"), [((), "right", 0), (("--require-all",), "part", 1)])
def test_a_gradient_by_the_inputs_is_missed_on_request_alone(options, mark, status, harness, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "right.py").write_text((SUBMISSIONS / "right.py").read_text())
    done = harness("mark", "class", "basic/tanh", "--json", *options)
    (row,) = json.loads(done.stdout)["marks"]
    assert (row["mark"], done.returncode) == (mark, status)
    assert row["missing"] == "inputs"


def test_a_folder_without_files_and_a_folder_of_something_else_are_refused(harness, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert harness("mark", "empty").returncode == 5
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "one.tex").write_text("years of work")
    done = harness("mark", str(SUBMISSIONS), "--out", "thesis")
    assert done.returncode == 2
    assert "is left alone" in done.stderr
    done = harness("mark", str(SUBMISSIONS), "basic/tahn")
    assert done.returncode == 2
    assert "did you mean 'basic/tanh'?" in done.stderr


def test_an_argument_that_is_no_folder_is_answered_with_what_was_meant(harness, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "one.py").write_text("")
    meant = {
        "clas": "there is no folder clas; did you mean 'class'?",
        "class/one.py": "is a file, but should be a folder; `harness check class/one.py` checks one file",
        "basic/tanh": "basic/tanh is a case, and the folder comes before it: harness mark FOLDER basic/tanh",
    }
    for folder, words in meant.items():
        done = harness("mark", folder)
        assert done.returncode == 2
        assert words in done.stderr, folder


def test_notebooks_have_no_row_and_are_named(harness, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "class" / "b").mkdir(parents=True)
    (tmp_path / "class" / "b" / "one.ipynb").write_text("{}")
    assert "\n1 notebook is not marked: b/one.ipynb; jupyter nbconvert" in harness("mark", "class").stderr
    (tmp_path / "class" / "two.ipynb").write_text("{}")
    (tmp_path / "class" / "right.py").write_text((SUBMISSIONS / "right.py").read_text())
    done = harness("mark", "class", "basic/tanh")
    assert done.returncode == 0
    assert "\n2 notebooks are not marked: b/one.ipynb, two.ipynb; " in done.stdout


def test_environments_and_hidden_folders_are_no_submissions(tmp_path):
    for path in ("a.py", "b/c.py", ".hidden/d.py", "venv/pyvenv.cfg", "venv/e.py", "__pycache__/f.py", "b/__init__.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    assert [each.relative_to(tmp_path).as_posix() for each in found_in(tmp_path)] == ["a.py", "b/c.py"]


def test_files_stand_in_the_order_of_their_numbers(tmp_path):
    names = ["s2.py", "s02b.py", "s10.py", f"s{'9' * 200}.py", "s.py", "t.py"]
    for name in sorted(names):
        (tmp_path / name).write_text("")
    assert [each.name for each in found_in(tmp_path)] == names


def test_several_files_do_not_run_and_one_does_not():
    one, two = [Mark("a.py")], [Mark("a.py"), Mark("b.py")]
    assert summary(one) == "1 file: 1 does not run"
    assert summary(two) == "2 files: 2 do not run"


def test_the_text_of_a_file_says_whether_it_is_about_a_recurrence():
    assert is_about_a_recurrence(SUBMISSIONS / "alice" / "leaky.py")
    assert not is_about_a_recurrence(SUBMISSIONS / "right.py")


def test_what_a_file_says_is_no_markup_of_the_page():
    shown = text([Mark("<b>.py", reason="<script>alert(1)</script>")], {"folder": "a", "cases": "b", "command": "c"})
    assert "<script>" not in shown
    assert "&lt;b&gt;.py" in shown


def test_a_match_that_calls_the_reference_is_not_right():
    result = {
        "implementation": "mine",
        "case": "small",
        "verdict": "match",
        "not_provided": [],
        "absent_weights": [],
        "missing": [],
        "disagreeing": [],
        "diagnoses": [],
        "reason": "",
        "remarks": ["it calls the reference implementation"],
        "kinds_of_remarks": ["calls the reference"],
    }
    assert of_check("a.py", {"exit_status": 0, "results": [result]}, 1.0, "").mark == "calls the reference"
    right = {**result, "remarks": [], "kinds_of_remarks": []}
    assert of_check("a.py", {"exit_status": 0, "results": [right]}, 1.0, "").mark == "right"
