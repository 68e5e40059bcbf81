"""If two implementations disagree, the report shows the one that the oracle agrees with."""

import json
import math

import pandas as pd


def reasons(harness, *arguments):
    done = harness("run", *arguments)
    return done, done.stdout


def test_the_oracle_agrees_with_a_right_baseline(harness, workplace):
    done, text = reasons(harness, "--impl", "sign,complex-step")
    assert done.returncode == 1
    assert "complex-step agrees with numpy-split" in text
    assert "complex-step agrees with numpy-split" in (workplace / "reports/latest/summary.md").read_text().replace(
        "\\", ""
    )


def test_the_oracle_agrees_with_whoever_is_right_when_the_baseline_is_wrong(harness):
    done, text = reasons(harness, "--impl", "numpy-concat,complex-step", "--baseline", "sign")
    assert done.returncode == 1
    assert "complex-step agrees with numpy-concat" in text
    assert "complex-step is the oracle: sign is wrong" in text


def test_the_oracle_agrees_with_neither_of_two_wrong_ones(harness):
    _, text = reasons(harness, "--impl", "all_zero,complex-step", "--baseline", "wrong_outputs")
    assert "complex-step agrees with neither" in text


def test_without_the_oracle_nobody_is_said_to_be_right(harness):
    _, text = reasons(harness, "--impl", "sign")
    assert "complex-step" not in text


def test_what_would_take_too_long_is_sampled_and_the_report_says_how_much(harness, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text().replace("hidden: 5", "hidden: 300"))
    done = harness("run", "--impl", "complex-step,sign")
    assert done.returncode == 1
    rows = pd.read_csv(workplace / "reports/latest/comparisons.csv").set_index(["implementation", "tensor"])
    oracle = rows.loc["complex-step"]
    assert (oracle["verdict"] == "match").all()
    assert oracle.loc["directional", "elements"] == 8
    for tensor in ("layer0.W_xh", "layer0.W_hh", "layer1.W_xh", "layer1.W_hh"):
        elements, size = oracle.loc[tensor, "elements"], math.prod(json.loads(oracle.loc[tensor, "shape"]))
        assert 0 < elements < size
        assert oracle.loc[tensor, "reason"] == f"{elements:,} of {size:,} elements compared"
    part = "elements, and 8 directional derivatives"
    assert part in done.stdout
    assert part in (workplace / "reports/latest/summary.md").read_text()
    assert "complex-step agrees with numpy-split" in done.stdout  # where both know something


def test_a_wrong_baseline_is_found_by_a_sample(harness, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text().replace("hidden: 5", "hidden: 300").replace("-0.9, 0.9", "-0.09, 0.09"))
    done = harness("run", "--impl", "complex-step", "--baseline", "transposed")
    assert done.returncode == 1
    rows = pd.read_csv(workplace / "reports/latest/comparisons.csv").set_index("tensor")
    assert rows.loc["directional", "verdict"] == "mismatch"
    assert rows.loc["layer0.W_hh", "verdict"] == "mismatch"


def test_beyond_every_budget_it_is_unsupported_with_the_reason(harness, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text().replace("hidden: 5", "hidden: 900").replace("batch: 2", "batch: 700"))
    done = harness("run", "--impl", "complex-step", "--json")
    (found,) = json.loads(done.stdout)["results"]
    assert found["verdict"] == "unsupported"
    assert "multiplications for one number; at most 2e+10 in all" in found["reason"]
