"""The exit status is the verdict."""

import json
import subprocess
import sys

import pytest

STATUS = {
    "agrees": (["run", "--impl", "numpy-concat"], 0),
    "provides_less_than_all": (["run", "--impl", "partial"], 0),
    "mismatch": (["run", "--impl", "off_by_a_millionth"], 1),
    "mismatch_beside_a_match": (["run", "--impl", "numpy-concat,sign"], 1),
    "unknown_implementation": (["run", "--impl", "numpy-spilt"], 2),
    "unknown_baseline": (["run", "--baseline", "numpy-spilt"], 2),
    "a_file_for_an_implementation": (["run", "--impl", "my_rnn.py"], 2),
    "a_file_for_a_baseline": (["run", "--baseline", "my_rnn.py"], 2),
    "unknown_case": (["run", "cases/smal.yaml"], 2),
    "unknown_option": (["run", "--implementation", "torch"], 2),
    "unknown_command": (["rnu"], 2),
    "nan": (["run", "--impl", "not_a_number"], 3),
    "raises": (["run", "--impl", "raising"], 3),
    "error_over_mismatch": (["run", "--impl", "sign,aborting"], 3),
    "baseline_fails": (["run", "--impl", "numpy-concat", "--baseline", "raising"], 3),
    "not_installed": (["run", "--impl", "absent"], 4),
    "baseline_not_installed": (["run", "--baseline", "absent"], 4),
    "only_the_baseline": (["run", "--impl", "numpy-split"], 5),
    "nothing_representable": (["run", "--impl", "representing_nothing"], 5),
    "valid_cases": (["validate"], 0),
}


@pytest.mark.parametrize(("arguments", "status"), STATUS.values(), ids=STATUS)
def test_the_exit_status_says_what_came_out(harness, arguments, status):
    assert harness(*arguments).returncode == status


def test_the_nearest_name_is_suggested(harness):
    assert "did you mean 'numpy-split'?" in harness("run", "--impl", "numpy-spilt").stderr
    assert "for your own file: harness check my_rnn.py" in harness("run", "--impl", "my_rnn.py").stderr
    assert "did you mean 'small'?" in harness("run", "smal").stderr
    assert "did you mean 'run'?" in harness("rnu").stderr
    assert "--impl" in harness("run", "--impll", "x").stderr


def test_what_is_not_installed_comes_with_the_command_that_installs_it(harness):
    assert "pip install a_module_that_is_not_there" in harness("run", "--impl", "absent").stderr


@pytest.mark.slow
def test_a_check_leaves_no_error_to_python_that_closes_its_files(workplace):
    # With -X dev, each Python reports what 3.13 always reports.
    new = [sys.executable, "-X", "dev", "-m", "harness"]
    subprocess.run([*new, "new", "--implementation", "my_rnn.py"], cwd=workplace, check=True)
    done = subprocess.run([*new, "check", "my_rnn.py", "basic/tanh"], cwd=workplace, capture_output=True, text=True)
    assert "Exception ignored" not in done.stdout + done.stderr
    assert done.stdout.startswith("my_rnn.py:23 my_bptt"), done.stderr


def test_an_empty_folder_selects_nothing(harness, workplace):
    (workplace / "nothing").mkdir()
    assert harness("run", "nothing").returncode == 5
    beside = harness("run", "small", "nothing", "--impl", "numpy-concat")
    assert beside.returncode == 2
    assert "nothing: there is no case file in this folder" in beside.stderr
    assert "1 match" in beside.stdout


def test_a_case_in_which_nothing_is_compared_is_told(harness, workplace):
    case = workplace / "cases" / "small.yaml"
    (workplace / "cases" / "other.yaml").write_text(f"{case.read_text()}implementations: [sign]\n")
    done = harness("run", "--impl", "numpy-concat")
    assert done.returncode == 0
    assert "nothing was compared in 1 case." in done.stdout
    alone = harness("run", "other", "--impl", "numpy-concat")
    assert alone.returncode == 5
    assert "Nothing was compared in 1 case." in alone.stdout


def test_a_baseline_that_returns_what_is_no_tensor_is_no_crash(harness, workplace):
    done = harness("run", "--baseline", "extra", "--impl", "partial")
    assert done.returncode == 0, done.stderr
    assert "layer9.W_hh" not in (workplace / "reports" / "latest" / "comparisons.csv").read_text()


def test_a_diagnosis_of_nothing_is_none(harness):
    done = harness("diagnose", "small", "--impl", "representing_nothing")
    assert done.returncode == 5
    assert "this one represents nothing" in done.stdout


def test_good_cases_run_beside_bad_ones_and_the_status_is_that_of_the_bad(harness, workplace):
    (workplace / "cases" / "bad.yaml").write_text("sizes: {batch: 1, time: 2, input: 3, hiden: 4}\n")
    done = harness("run", "--impl", "numpy-concat", "--json")
    assert done.returncode == 2
    assert "cases/bad.yaml:1:38: sizes.hiden: unknown key; did you mean 'hidden'?" in done.stderr
    assert [each["verdict"] for each in json.loads(done.stdout)["results"]] == ["match"]


def test_a_documented_mismatch_is_as_expected_and_fails_when_it_goes_away(harness, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "expect: mismatch\nbecause: the sign is a matter of convention\n")
    done = harness("run", "--impl", "sign")
    assert done.returncode == 0
    assert "Known mismatches, declared in their case files" in done.stdout
    assert "Likely cause" not in done.stdout
    done = harness("run", "--impl", "numpy-concat")
    assert done.returncode == 1
    assert "expected a mismatch (the sign is a matter of convention), but everything matches" in done.stdout
    assert harness("run", "--impl", "not_a_number").returncode == 3


def test_a_folder_that_is_no_report_is_left_alone(harness, workplace):
    (workplace / "precious").mkdir()
    (workplace / "precious" / "thesis.tex").write_text("years of work")
    done = harness("run", "--impl", "numpy-concat", "--out", "precious")
    assert done.returncode == 2
    assert "precious" in done.stderr
    assert [path.name for path in (workplace / "precious").iterdir()] == ["thesis.tex"]
