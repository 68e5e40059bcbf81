"""A floor above the tolerance: ill-conditioned where rounding explains it, a wrong baseline where it does not."""

import json

import numpy as np
import pandas as pd
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.comparison import ComparisonPolicy, compare
from harness.execution.session.floors import judged, remarked
from harness.precision.error_floor import ErrorFloor
from harness.problem import build
from harness.result import Result

EPS = float(np.finfo(np.float64).eps)
BOUND = 16 * EPS  # the default for a tensor whose largest element is 1, where the noise is smaller


def given(error, rounding, tolerance=None):
    """A baseline of ones whose first element is off by ``error``."""
    case = ValidCase(
        name="c", file="c", sizes=Sizes(1, 1, 1, 4), loss=Loss("dot"), upstream="ones", tolerance=tolerance
    )
    expected = Result(None, None, {"layer0.b_h": np.ones(4)}, 0.0)
    errors = np.array([error, 0, 0, 0.0])
    floor = ErrorFloor("certified", {"layer0.b_h": errors}, {"layer0.b_h": rounding})
    return expected, judged(floor, build(case, None), expected, {"layer0.b_h": EPS / 2})


def test_below_the_tolerance_nothing_is_said():
    _, (floors, noise) = given(0.9 * BOUND, 0.9 * BOUND)
    assert not floors.ill_conditioned
    assert not floors.unexplained
    assert noise == {"layer0.b_h": EPS / 2}
    assert floors.largest == {"layer0.b_h": 0.9 * BOUND}


def test_above_a_default_tolerance_the_tolerance_follows_the_references_own_error():
    expected, (floors, noise) = given(1.1 * BOUND, 1.1 * BOUND)
    assert noise == {"layer0.b_h": 1.1 * BOUND}
    assert "ill-conditioned: the baseline is off by 3.91e-15 from the certified answer" in floors.remark("layer0.b_h")
    actual = {"layer0.b_h": expected.gradients["layer0.b_h"] + 2 * BOUND}
    assert not compare(actual, expected).matches
    widened = remarked(compare(actual, expected, ComparisonPolicy(noise=noise)), floors)
    assert widened.matches
    assert "ill-conditioned" in widened.tensors[0].reason


def test_a_wrong_baseline_excuses_nothing():
    """Off by a thousandth where the reference is off by an ulp: the tolerance stays, and the reason says it."""
    expected, (floors, noise) = given(1e-3, EPS)
    assert noise == {"layer0.b_h": EPS / 2}
    assert not floors.ill_conditioned
    assert "rounding does not explain" in floors.remark("layer0.b_h")
    actual = {"layer0.b_h": np.array([1 - 1e-3, 1, 1, 1])}
    assert not compare(actual, expected, ComparisonPolicy(noise=noise)).matches


def test_a_tolerance_that_the_case_gives_is_applied_as_given():
    expected, (floors, noise) = given(EPS, EPS, {"atol": EPS / 4})
    assert "ill-conditioned" in floors.remark("layer0.b_h")
    actual = {"layer0.b_h": np.array([1 + EPS, 1, 1, 1])}
    comparison = remarked(compare(actual, expected, ComparisonPolicy(tolerance={"atol": EPS / 4}, noise=noise)), floors)
    assert not comparison.matches
    assert "1 of 4 elements outside the tolerance; ill-conditioned: the baseline" in comparison.tensors[0].reason


def test_a_relative_tolerance_is_held_against_each_element():
    _, (floors, _) = given(EPS, EPS, {"rtol": 0.9 * EPS})
    assert floors.ill_conditioned
    _, (floors, _) = given(EPS, EPS, {"rtol": 1.1 * EPS})
    assert not floors.ill_conditioned


@pytest.mark.framework
def test_a_case_below_rounding_is_reported_as_ill_conditioned_and_does_not_fail_for_it(harness, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "tolerance: {atol: 1.0e-30}\n")
    done = harness("run", "--impl", "numpy-split,printing,certified")  # printing computes as the baseline does
    rows = pd.read_csv(workplace / "reports/latest/comparisons.csv").set_index(["implementation", "tensor"])
    assert set(rows.loc["printing"]["verdict"]) == {"match"}
    assert rows.loc[("printing", "layer0.W_hh"), "reason"].startswith("ill-conditioned: the baseline is off by")
    assert rows.loc[("certified", "layer0.W_hh"), "verdict"] == "mismatch"
    assert "ill-conditioned" in rows.loc[("certified", "layer0.W_hh"), "reason"]
    page = (workplace / "reports/latest/summary.md").read_text()
    assert "## Ill-conditioned" in page
    assert "Ill-conditioned: rounding explains the difference" in done.stdout


@pytest.mark.framework
def test_the_floor_stands_in_every_row_and_its_source_is_said(harness, workplace):
    done = harness("run", "--impl", "numpy-concat,certified")
    assert done.returncode == 0
    sentence = "The baseline was checked against certified answers in 1 case."
    assert sentence in done.stdout
    report = workplace / "reports" / "latest"
    assert sentence in (report / "summary.md").read_text()
    rows = pd.read_csv(report / "comparisons.csv").set_index(["implementation", "tensor"])
    assert rows["floor"].notna().all()
    assert rows["floor"].max() > 0
    for tensor, row in rows.loc["certified"].iterrows():
        # The certified answer in a row is rounded once more, by half an ulp of the largest element at most.
        assert abs(row["floor"] - row["max_abs_error"]) <= EPS * 100, tensor
        assert row["floor"] <= row["atol"]
    assert set(pd.read_csv(report / "floors.csv")["source"]) == {"certified"}
    assert json.loads((report / "environment.json").read_text())["floors"] == {"certified": 1}


@pytest.mark.framework
def test_a_wrong_baseline_is_said_to_be_wrong(harness, workplace):
    done = harness("run", "--impl", "numpy-concat", "--baseline", "sign")
    assert done.returncode == 1
    rows = pd.read_csv(workplace / "reports/latest/comparisons.csv").set_index("tensor")
    assert rows.loc["layer0.h0", "verdict"] == "mismatch"
    assert "which rounding does not explain" in rows.loc["layer0.h0", "reason"]
    assert rows["reason"].str.contains("rounding does not explain").sum() == 1
