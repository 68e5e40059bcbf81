"""harness diagnose, sensitivity, list faults, and what validate warns of."""

import csv
import json
import re

import pytest

WRONG = """\
import numpy as np
import harness


@harness.implementation("mine")
def mine(problem):
    if problem.case.layers > 1:
        raise harness.Unsupported("only one layer")
    W_xh, W_hh, b_h = (problem.weights["layer0." + name] for name in ("W_xh", "W_hh", "b_h"))
    x, h = problem.inputs, [problem.initial_state["layer0.h0"]]
    for t in range(x.shape[1]):
        h.append(np.tanh(x[:, t] @ W_xh + h[-1] @ W_hh + b_h))
    outputs = np.stack(h[1:], axis=1)
    loss, d_outputs = problem.loss(outputs)
    dW_hh, carried = np.zeros_like(W_hh), np.zeros_like(h[0])
    for t in reversed(range(x.shape[1])):
        delta = (d_outputs[:, t] + carried) * (1 - h[t + 1] ** 2)
        dW_hh += h[t - 1 if t else -1].T @ delta if {wrapped} else h[t].T @ delta
        carried = delta @ W_hh{transpose}
    return {{"layer0.W_hh": dW_hh, "loss": loss, "outputs": outputs}}
"""

ONE_LAYER = """\
about: One layer that hides nothing.
sizes: {batch: 2, time: 6, input: 3, hidden: 5}
weights: {uniform: [-0.9, 0.9], seed: 1}
inputs: {normal: 1.0, seed: 2}
initial_state: {normal: 0.5, seed: 3}
loss: {kind: dot}
upstream: {normal: 1.0, seed: 4}
"""


@pytest.fixture
def one_layer(workplace):
    (workplace / "cases" / "one.yaml").write_text(ONE_LAYER)
    return workplace


def test_check_names_the_fault(harness, one_layer):
    (one_layer / "mine.py").write_text(WRONG.format(wrapped=False, transpose=""))
    done = harness("check", "mine.py")
    assert done.returncode == 1
    assert "Likely cause: carry-untransposed" in done.stdout
    assert "The state gradient is carried back with W_hh untransposed" in done.stdout
    with (one_layer / "reports/check/diagnoses.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["case"], row["tensor"], row["fault"]) for row in rows} == {
        ("one", "layer0.W_hh", "carry-untransposed")
    }
    assert float(rows[0]["residual"]) < 1e-13
    summary = (one_layer / "reports/check/summary.md").read_text()
    assert "carry-untransposed" in summary


def test_check_without_a_fault_names_none(harness, one_layer):
    (one_layer / "mine.py").write_text(WRONG.format(wrapped=False, transpose=".T"))
    done = harness("check", "mine.py")
    assert done.returncode == 0
    assert "The fault" not in done.stdout


def test_diagnose_explains_an_implementation(harness, workplace):
    done = harness("diagnose", "small", "--impl", "transposed")
    assert done.returncode == 1
    assert "Likely cause: transposed" in done.stdout
    assert "layer0.W_hh is the transpose of the right one" in done.stdout
    found = json.loads(harness("diagnose", "small", "--impl", "sign", "--json").stdout)
    assert [each["diagnoses"][0]["fault"] for each in found] == ["factor"]
    assert "−1 times" in found[0]["diagnoses"][0]["explanation"]


def test_diagnose_of_a_right_implementation_says_match(harness):
    done = harness("diagnose", "--impl", "numpy-concat")
    assert done.returncode == 0
    assert done.stdout == "small: match\n"


def test_diagnose_explains_published_values(harness, workplace):
    """The gradient of W_hh's second row as printed by somebody who forgot the initial state."""
    from harness.case import load
    from harness.diagnosis.bptt import rerun, right
    from harness.diagnosis.faults import faults, kinds_of, suspects_of
    from harness.implementations import implementations
    from harness.problem import build

    path = workplace / "cases" / "small.yaml"
    (case,) = load([str(path)], implementations()).cases
    problem = build(case, None)
    true = right(problem)
    true.tensors()
    kinds = kinds_of((next(suspects_of(faults()["initial-state-left-out"], problem)),), problem.structure)
    wrong = rerun(true, kinds[0], kinds[1], forward=False)
    rows = ", ".join(f"{value:.5f}" for value in wrong["layer1.W_hh"][1])
    with path.open("a") as file:
        file.write("published:\n  source: a book\n  gradients:\n")
        file.write(f"    - {{tensor: layer1.W_hh, at: [1], values: [{rows}]}}\n")
    done = harness("diagnose", "small", "--impl", "published")
    assert done.returncode == 1
    assert "Likely cause: initial-state-left-out" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["small", "--impl", "transposd"], 2, "transposed"),
        (["small"], 2, "--impl"),
        (["small", "--impl", "published"], 5, "takes part in none"),
        (["smal", "--impl", "sign"], 2, "small"),
    ],
    ids=["wrong name", "no name", "nothing published", "no case"],
)
def test_diagnose_tells_a_mistake(harness, arguments, status, words):
    done = harness("diagnose", *arguments)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_sensitivity_says_what_slips_through(harness, one_layer):
    blind = ONE_LAYER.replace("{uniform: [-0.9, 0.9], seed: 1}", "{fill: 0.1}").replace("time: 6", "time: 1")
    (one_layer / "cases" / "blind.yaml").write_text(blind.replace("{normal: 0.5, seed: 3}", "zeros"))
    found = {each["case"]: each for each in json.loads(harness("sensitivity", "--json").stdout)}
    assert "carry-untransposed" in found["one"]["seen"]
    assert "initial-state-left-out" in found["blind"]["missed"]
    assert "zero initial state" in found["blind"]["missed"]["initial-state-left-out"]
    assert len(found["one"]["seen"]) > len(found["blind"]["seen"]) + 20
    seen, missed = len(found["blind"]["seen"]), len(found["blind"]["missed"])
    text = harness("sensitivity", "blind").stdout
    assert f"The case detects {seen} of the {seen + missed} faults of the catalogue that can occur there." in text
    unseen = re.findall(r"^Not detected: (.*)$", text, re.MULTILINE)[0].split(", ")
    assert set(unseen) == set(found["blind"]["missed"]), "a fault of a lstm is none that this case misses"
    assert "Together, the cases detect" in harness("sensitivity").stdout


def test_the_list_of_faults_describes_each(harness):
    found = json.loads(harness("list", "faults", "--json").stdout)
    assert len(found) >= 30
    assert all(each["about"].endswith(".") for each in found)
    assert "carry-untransposed" in harness("list", "faults").stdout


def test_validate_fails_on_a_warning_where_it_is_strict(harness, workplace):
    assert harness("validate", "small", "--strict").returncode == 0
    case = workplace / "cases" / "blind.yaml"
    case.write_text("sizes: {batch: 2, time: 4, input: 3, hidden: 3}\nweights: {normal: 0.5, seed: 1}\n")
    assert harness("validate", "blind").returncode == 0
    done = harness("validate", "blind", "--strict")
    assert done.returncode == 2
    assert re.fullmatch(r"Failed: 1 valid case, 0 mistakes, \d warnings.\n", done.stdout)
    assert harness("validate", "blind", "--strict", "--json").returncode == 2


def test_validate_has_one_line_for_a_warning_of_many_files(harness, workplace):
    text = (workplace / "cases" / "small.yaml").read_text().replace("hidden: 5", "hidden: 4")
    for count in (3, 4):
        for number in range(count):
            (workplace / "cases" / f"{number}.yaml").write_text(text)
        lines = [line for line in harness("validate").stderr.splitlines() if "equal sizes" in line]
        assert len(lines) == (3 if count == 3 else 1)
    assert lines[0].startswith("4 files: blind: equal sizes: such as cases/0.yaml: input and hidden are 4")
    assert len(json.loads(harness("validate", "--json").stdout)["warnings"]) == 4


def test_validate_warns_of_a_blind_case_and_passes(harness, workplace):
    case = workplace / "cases" / "blind.yaml"
    case.write_text("sizes: {batch: 3, time: 2, input: 3, hidden: 3}\nweights: {fill: 0.5}\ninputs: ones\n")
    done = harness("validate", "blind")
    assert done.returncode == 0
    for spot in ("equal sizes", "few steps", "constant weights", "zero initial state", "same input at every step"):
        assert f"blind: {spot}" in done.stderr
    assert "harness sensitivity" in done.stderr
    found = json.loads(harness("validate", "blind", "--json").stdout)
    assert {each["blind_spot"] for each in found["warnings"]} >= {"equal sizes", "few steps"}
    assert "blind" not in harness("validate", "small").stderr


@pytest.mark.parametrize("arguments", [["sensitivity", "--help"], ["diagnose", "--help"]], ids=" ".join)
def test_help_explains(harness, arguments):
    assert "Usage:" in harness(*arguments).stdout
