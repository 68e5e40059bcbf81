"""Training in runs and reports, and with a user's own file; and the cases that have published curves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import harness as package
from harness.case import load
from harness.execution.processes import Workers
from harness.implementations import implementations
from harness.problem import build
from harness.training import run

CASES = Path(__file__).parent.parent.parent / "cases"

CASE = """\
sizes: {batch: 2, time: 3, input: 4, hidden: 5}
weights: {uniform: [-0.9, 0.9], seed: 1}
inputs: {normal: 1.0, seed: 2}
initial_state: {normal: 0.5, seed: 3}
targets: {normal: 1.0, seed: 4}
training: {steps: 4, optimizer: {sgd: {lr: 0.1}}}
"""

MINE = """\
import harness
from harness.problem.reference import solve

CALLS = []


@harness.implementation("mine")
def mine(problem):
    found = solve(problem)
    CALLS.append(problem)
    CHANGE
    return found
"""

OWN_LOOP = """
    if problem.case.training != "none":
        weights, losses = dict(problem.weights), []
        for step in range(problem.case.training["steps"]):
            given = dataclasses.replace(problem, weights=weights)
            of_step = solve(given)
            losses.append(of_step["loss"])
            weights = {name: w - RATE * of_step[name] for name, w in weights.items()}
        found |= {"training.loss": losses, **{"trained." + name: w for name, w in weights.items()}}
"""


@pytest.fixture
def place(workplace):
    (workplace / "cases" / "small.yaml").write_text(CASE)
    return workplace


@pytest.fixture
def check(harness, place):
    """Check a file that changes what is right in one way; return what is printed, and the report's tables."""

    def checked(change):
        (place / "mine.py").write_text("import dataclasses\n" + MINE.replace("CHANGE", change))
        done = harness("check", "mine.py", "cases", faulty=False)
        assert "Traceback" not in done.stderr, done.stderr
        tables = {name: pd.read_csv(place / "reports/check" / f"{name}.csv") for name in ("comparisons", "training")}
        return done, tables

    return checked


def rows_of(tables, tensor):
    found = tables["comparisons"]
    return found[found["tensor"].str.startswith(tensor)]


def test_each_step_has_a_row(harness, place):
    done = harness("run", "--impl", "numpy-concat", faulty=False)
    assert done.returncode == 0, done.stdout
    assert "Training: 4 steps of 1 implementation in 1 case" in done.stdout
    assert "Training: 4 steps" in (place / "reports/latest/summary.md").read_text()
    rows = pd.read_csv(place / "reports/latest/training.csv")
    assert rows["step"].tolist() == [0, 1, 2, 3]
    assert set(rows["verdict"]) == {"match"}
    assert set(rows["lr"]) == {0.1}
    assert (rows["loss"] - rows["baseline_loss"]).abs().max() <= rows["allowed"].max()
    assert (rows["gradient_norm"] > 0).all()
    bounds = pd.read_csv(place / "reports/latest/tolerances.csv").set_index("tensor")["origin"]
    assert "16 units for training.loss in float64: rounding noise" in bounds["training.loss"]
    assert "16 units for trained in float64" in bounds["trained.layer0.W_hh"]


def test_a_gradient_that_is_wrong_only_later_is_found_by_training_alone(check):
    """The gradient depends on state that earlier calls left behind: the first answers are right."""
    done, tables = check('found["layer0.b_h"] = found["layer0.b_h"] * (1 if len(CALLS) < 5 else 0)')
    assert done.returncode == 1
    assert set(rows_of(tables, "layer0")["verdict"]) == {"match"}
    assert tables["training"]["verdict"].tolist() == ["match", "match", "match", "mismatch"]
    assert "first goes wrong at the loss of step 3" in " ".join(done.stdout.split())
    assert "the norm of the gradient is wrong at step 2 already" in " ".join(done.stdout.split())


def test_who_raises_half_way_is_told_the_step_and_the_line(check):
    done, tables = check('if len(CALLS) == 5: raise ValueError("too long")')
    assert done.returncode == 3
    assert "step 2 of training, counted from 0: ValueError: too long" in done.stdout
    assert 'if len(CALLS) == 5: raise ValueError("too long")' in done.stdout
    assert set(rows_of(tables, "layer0")["verdict"]) == {"match"}  # what was answered before is compared


def test_who_leaves_out_a_gradient_is_compared_without_training(check):
    done, tables = check('del found["layer0.b_h"]')
    assert done.returncode == 0, done.stdout
    reasons = set(rows_of(tables, "train")["reason"])
    assert reasons == {"not provided: there is no training without the whole gradient of layer0.b_h"}
    assert "training.loss" in done.stdout  # among what is not provided
    assert tables["training"].empty


def test_a_user_s_own_loop_is_compared_in_place_of_ours(check):
    done, tables = check(OWN_LOOP.replace("RATE", "0.1"))
    assert done.returncode == 0, done.stdout
    assert set(rows_of(tables, "train")["verdict"]) == {"match"}
    assert tables["training"]["lr"].isna().all()  # it did not say


def test_a_learning_rate_that_is_never_used_is_named(check):
    done, _ = check(OWN_LOOP.replace("RATE", "1.0"))
    assert done.returncode == 1
    assert "Likely cause: learning-rate-never-used" in done.stdout


def test_assert_gradients_match_trains_too(place):
    def mine(problem):
        found = run(implementations()["numpy-concat"], replace_training(problem))
        return {"loss": found.loss, **found.gradients}

    def replace_training(problem):
        return replace(problem, case=replace(problem.case, training="none"))

    calls = []

    def wrong_later(problem):
        calls.append(problem)
        found = mine(problem)
        return found if len(calls) < 4 else {**found, "layer0.W_xh": found["layer0.W_hh"][[0] * 4]}

    case = place / "cases" / "small.yaml"
    package.assert_gradients_match(mine, case)
    with pytest.raises(AssertionError, match=r"training\.loss"):
        package.assert_gradients_match(wrong_later, case)


@pytest.mark.parametrize(("nonfinite", "status"), [("refused", 1), ("allowed", 0)])
def test_a_loss_that_overflows_matches_only_where_the_case_allows_it(harness, place, nonfinite, status):
    diverging = CASE.replace("lr: 0.1", "lr: 3.0e30").replace("steps: 4", "steps: 5")
    (place / "cases" / "small.yaml").write_text(f"{diverging}activation: identity\nnonfinite: {nonfinite}\n")
    done = harness("run", "--impl", "numpy-concat", faulty=False)
    assert done.returncode == status, done.stdout
    assert "Traceback" not in done.stderr
    rows = pd.read_csv(place / "reports/latest/training.csv", keep_default_na=False)
    assert set(rows["loss"].astype(str).iloc[-1:]) <= {"nan", "inf"}
    assert rows["verdict"].tolist()[-1] == ("match" if nonfinite == "allowed" else "mismatch")


def curve_of(name, workers):
    (case,) = load([str(CASES / f"{name}.yaml")]).cases
    with np.errstate(all="ignore"):
        found = run(implementations()["numpy-split"], build(case, workers and workers.native_weights))
    return case, found


def test_system_b_falls_as_published():
    """From 2.259 per token to 0.650, said the tutorial of its unseeded run; over ten tokens an epoch."""
    _, found = curve_of("tutorials/token_sentences_training", None)
    epochs = found.training["training.loss"].reshape(100, 2).sum(axis=1) / 10  # (100,)
    assert abs(epochs[0] - 2.259) < 0.1
    assert epochs[95] < 0.650 < epochs[60]
    assert (np.diff(epochs) < 0).all()
    assert set(found.per_step["lr"]) == {0.005}  # the loss never rises
    for name in ("layer0.b_h", "readout.b_y"):
        assert not found.training[f"trained.{name}"].any()


@pytest.mark.framework
def test_the_sine_is_learnt_as_published():
    with Workers() as workers:
        case, found = curve_of("tutorials/sine_training", workers)
    published = {0: 0.474, 15: 0.0159, 30: 0.00112, 45: 0.00085, 60: 0.00049}
    for step, loss in published.items():
        assert loss / 2.5 < found.training["training.loss"][step] < loss * 2.5
    problem_inputs = np.array(case.inputs["values"])[:, :, 0]  # (2, 20)
    for step in range(75):
        points = np.sin(np.linspace(step * np.pi, (step + 1) * np.pi, 21))
        np.testing.assert_allclose(problem_inputs[step % 2], points[:-1], rtol=0, atol=1e-13)
        np.testing.assert_allclose(np.array(case.targets["values"])[step % 2, :, 0], points[1:], rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("name", "halved"), [("training/halving", 2), ("training/batches", 1)], ids=["each step", "each pass"]
)
def test_in_the_cases_of_a_halved_rate_the_loss_does_rise(name, halved):
    _, found = curve_of(name, None)
    rates = found.per_step["lr"]
    assert rates[0] / rates[-1] == 2**halved


def test_in_the_cases_of_clipping_there_is_something_to_clip_and_something_not():
    for name in ("clip_norm", "frozen"):
        case, found = curve_of(f"training/{name}", None)
        assert found.per_step["gradient_norm"].max() > case.training["clip_norm"]
    assert found.per_step["gradient_norm"].min() > 0
    _, found = curve_of("training/clip_norm", None)
    assert found.per_step["gradient_norm"].min() < 12 < found.per_step["gradient_norm"].max()


def test_in_the_case_that_diverges_the_loss_is_finite_at_first():
    _, found = curve_of("training/diverging", None)
    finite = np.isfinite(found.training["training.loss"])
    assert finite[:2].all()
    assert not finite[-2:].any()
