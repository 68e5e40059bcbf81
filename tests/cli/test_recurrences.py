"""The commands on cases of recurrences: run, validate, list, judge, diagnose, sensitivity."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from harness.recurrences import recurrences
from tests.conftest import FAULTY, ROOT

CASE = """\
about: A peephole LSTM.
cell: peephole_lstm
sizes: {batch: 2, time: 3, I: 4, H: 5}
"""


@pytest.fixture
def lstm(workplace):
    """A case of a recurrence beside one of a network."""
    (workplace / "cases" / "lstm.yaml").write_text(CASE)
    return workplace


def rows(folder, table):
    with (folder / table).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_compares_each_case_with_a_baseline_that_is_of_it(harness, lstm):
    done = harness("run", "--impl", "complex-step,forward-mode", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["baseline"] == "numpy-split and derived"
    assert {(each["case"], each["implementation"]): each["verdict"] for each in found["results"]} == {
        ("lstm", "complex-step"): "match",
        ("lstm", "forward-mode"): "match",
        ("small", "complex-step"): "match",
    }
    compared = rows(lstm / "reports/latest", "comparisons.csv")
    assert {(each["case"], each["baseline"]) for each in compared} == {("lstm", "derived"), ("small", "numpy-split")}
    of_lstm = {each["tensor"] for each in compared if each["case"] == "lstm"}
    assert of_lstm >= {"loss", "outputs", "last.h", "last.c", "W", "U", "b", "p_i", "inputs.x", "h0", "c0"}
    floors = rows(lstm / "reports/latest", "floors.csv")
    assert {each["baseline"] for each in floors} == {"numpy-split", "derived"}


def test_a_wrong_gradient_is_a_mismatch_with_a_diagnosis(harness, lstm):
    done = harness("run", "lstm", "--impl", "cell_of_another_sign")
    assert done.returncode == 1
    wrong = {
        each["tensor"] for each in rows(lstm / "reports/latest", "comparisons.csv") if each["verdict"] == "mismatch"
    }
    assert wrong == {"c0"}
    assert {each["tensor"] for each in rows(lstm / "reports/latest", "diagnoses.csv")} == {"c0"}
    again = harness("judge", "reports/latest", "--rtol", "3")
    assert again.returncode == 0, again.stdout + again.stderr
    done = harness("diagnose", "lstm", "--impl", "cell_of_another_sign")
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "lstm: mismatch")


@pytest.mark.framework("torch", "jax", "tensorflow")
def test_every_framework_takes_part(harness, lstm):
    done = harness("run", "lstm", "--json", faulty=False)
    assert done.returncode == 0, (lstm, done.stdout + done.stderr)
    verdicts = {each["implementation"]: each["verdict"] for each in json.loads(done.stdout)["results"]}
    assert verdicts.keys() >= {"complex-step", "forward-mode", "torch-cell", "jax", "tensorflow"}
    assert set(verdicts.values()) == {"match"}


def test_an_implementation_of_networks_takes_no_part_unless_the_case_lists_it(harness, lstm):
    assert harness("run", "lstm", "--impl", "numpy-concat").returncode == 5
    (lstm / "cases" / "lstm.yaml").write_text(CASE + "implementations: [numpy-concat]\n")
    done = harness("run", "lstm", "--json")
    (row,) = json.loads(done.stdout)["results"]
    assert (row["verdict"], "networks of rnn, lstm and gru" in row["reason"]) == ("unsupported", True)


def test_judging_against_a_baseline_of_networks_leaves_a_recurrence_with_its_own(harness, lstm):
    assert harness("run", "--impl", "numpy-concat,complex-step").returncode == 0
    done = harness("judge", "reports/latest", "--baseline", "numpy-concat", "--out", "judged")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {(each["case"], each["baseline"]) for each in rows(lstm / "judged", "comparisons.csv")}
    assert found == {("lstm", "derived"), ("small", "numpy-concat")}
    assert "compared with numpy-concat and derived" in done.stdout


def test_a_baseline_is_diagnosed_against_another(harness, lstm):
    done = harness("diagnose", "lstm", "--impl", "derived")
    assert (done.returncode, done.stdout) == (0, "lstm: match\n"), lstm


def test_sensitivity_counts_the_faults_of_a_step(harness, lstm):
    done = harness("sensitivity", "lstm")
    assert done.returncode == 0, lstm
    assert re.search(r"The case detects \d+ of the \d+ faults of the step of peephole_lstm\.", done.stdout)
    (row,) = json.loads(harness("sensitivity", "lstm", "--json").stdout)
    assert row["case"] == "lstm"
    assert "The gradient by the last state h is left out." in row["seen"]
    both = harness("sensitivity").stdout
    assert "faults of the catalogue" in both
    assert "faults of the step of peephole_lstm" in both


def test_sensitivity_of_a_problem_of_ones_own(harness, lstm):
    done = harness("sensitivity", "lstm", "--problem", "B=1, T=1, H=4", "--problem", "upstream=outputs alone", "--json")
    assert done.returncode == 0, lstm
    one, other = json.loads(done.stdout)
    assert one["case"] == "peephole_lstm[dtype=float64,B=1,T=1,I=5,H=4,seed=0]"
    assert other["case"].endswith("outputs alone]")
    assert set(one["missed"].values()) >= {"one sequence", "one step: nothing is carried back through time"}
    assert other["missed"]["The gradient by the last state h is left out."] == "no gradient by the last states"


BAD_PROBLEMS = {
    "no value": ("B", "'B' should be NAME=VALUE, as in B=1,T=16,H=64"),
    "a text": ("B=two", "B is 'two', but should be a whole number"),
    "no number": ("scale=x", "scale is 'x', but should be a number"),
    "another letter": ("K=4", "peephole_lstm has no size 'K'; there are B, T, I or H"),
    "a size of zero": ("H=0", "size H is 0, but should be a whole number above 0"),
    "another dtype": ("dtype=float16", "dtype is 'float16', but should be 'float32' or 'float64'"),
    "another upstream": ("upstream=ones", "upstream is 'ones', but should be 'all', 'outputs alone' or 'last states"),
    "nothing to leave out": ("without=b", "'b' is no optional array of peephole_lstm; it has none"),
}


@pytest.mark.parametrize("mistake", BAD_PROBLEMS)
def test_a_wrong_problem_is_refused(harness, lstm, mistake):
    text, message = BAD_PROBLEMS[mistake]
    done = harness("sensitivity", "lstm", "--problem", text)
    assert done.returncode == 2, lstm
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_problem_is_for_recurrences(harness, lstm):
    done = harness("sensitivity", "small", "--problem", "B=1")
    assert done.returncode == 2, lstm
    assert "--problem is for recurrences, and these cases are of networks; leave it out" in " ".join(
        done.stderr.split()
    )


def test_sensitivity_of_a_problem_that_is_too_large(harness, lstm):
    done = harness("sensitivity", "lstm", "--problem", "B=100,T=100,H=500,I=1")
    assert done.returncode == 2, lstm
    assert "at most 2e+07, so use smaller sizes" in done.stderr


def test_validate_places_mistakes(harness, lstm):
    (lstm / "cases" / "lstm.yaml").write_text(CASE + "inputs: ones\n")
    done = harness("validate", "lstm")
    assert done.returncode == 2
    assert "cases/lstm.yaml:4:1: inputs: is for networks" in done.stdout
    (lstm / "cases" / "lstm.yaml").write_text(CASE)
    assert harness("validate", "lstm").stdout == "Passed: 1 valid case, 0 mistakes.\n"


def test_weights_of_a_file_are_for_networks(harness, lstm, pytestconfig):
    shutil.copy(pytestconfig.rootpath / "tests/checkpoint/files/lstm.npz", lstm / "lstm.npz")
    done = harness("run", "lstm", "--weights", "lstm.npz")
    assert done.returncode == 2
    assert "peephole_lstm is a recurrence; a file of weights holds networks alone" in done.stderr


def test_the_list_has_every_recurrence_with_its_shapes(harness):
    found = {each["name"]: each for each in json.loads(harness("list", "recurrences", "--json").stdout)}
    assert found.keys() == recurrences().keys()
    assert found["peephole_lstm"]["weights"]["W"] == "I 4*H"
    assert found["peephole_lstm"]["about"].startswith("LSTM")
    shown = harness("list", "recurrences").stdout
    for name, each in recurrences().items():
        assert name in shown
        assert each.about
    assert "W (I 4*H)" in shown


def test_the_cases_are_listed(harness, lstm):
    assert {"name": "lstm", "about": "A peephole LSTM."} in json.loads(harness("list", "cases", "--json").stdout), lstm


def test_pytest_collects_and_runs_them(harness, lstm):
    (lstm / "pytest.ini").write_text("[pytest]\nharness_cases = cases\n")
    names = "complex-step,cell_of_another_sign,numpy-concat"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-q",
            "-rA",
            "--harness-impl",
            names,
            "cases/lstm.yaml",
        ],
        cwd=lstm,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FAULTY), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "lstm: cell_of_another_sign against derived: mismatch" in done.stdout
    assert "diagnosis: " in done.stdout
