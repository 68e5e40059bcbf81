"""The table that the tolerances are set from."""

import pandas as pd
import pytest

from harness.report.headroom import headroom, main
from harness.terminal import ended


@pytest.fixture
def report(tmp_path):
    compared = pd.DataFrame(
        [
            ("a", "torch", "layer0.W_hh", "float64", 0.05, "match"),
            ("a", "keras", "layer1.W_hh", "float64", 0.25, "match"),
            ("b", "keras", "layer1.W_hh", "float64", 7.0, "mismatch"),
            ("c", "keras", "layer1.W_hh", "float64", 0.9, "match"),
            ("a", "torch", "loss", "float64", 0.0, "match"),
        ],
        columns=["case", "implementation", "tensor", "dtype", "error_ratio", "verdict"],
    )
    origin = {"a": "16 units for W_hh in float64: rounding noise 1", "c": "the case's tolerance"}
    in_force = pd.DataFrame(
        [(case, tensor, origin.get(case, origin["a"])) for case in "abc" for tensor in compared["tensor"].unique()],
        columns=["case", "tensor", "origin"],
    )
    compared.to_csv(tmp_path / "comparisons.csv", index=False)
    in_force.to_csv(tmp_path / "tolerances.csv", index=False)
    return tmp_path


def test_the_worst_match_under_a_default_tolerance_counts(report):
    table = headroom(report).set_index("kind")
    assert table.loc["W_hh", "worst"] == 0.25 * 16
    assert table.loc["W_hh", "headroom"] == 4
    assert table.loc["W_hh", "comparisons"] == 2
    assert table.loc["W_hh", "implementation"] == "keras"
    assert table.loc["loss", "headroom"] == float("inf")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "Usage: python -m harness.report.headroom REPORT"), (["nowhere"], "nowhere/comparisons.csv cannot be used")],
    ids=["no report", "no such report"],
)
def test_a_mistake_of_the_users_is_a_message(capsys, monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert ended(lambda: main(arguments), for_good=False) == 2
    assert words in capsys.readouterr().err
