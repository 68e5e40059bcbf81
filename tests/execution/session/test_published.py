"""Published gradients take part in a run, judged to the digits printed."""

from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[3]
CASE = (ROOT / "cases" / "edge" / "published_digits.yaml").read_text()

pytestmark = pytest.mark.framework


@pytest.fixture
def run(harness, workplace):
    def of(text, *arguments):
        (workplace / "cases" / "small.yaml").write_text(text)
        done = harness("run", "--impl", "published,numpy-concat", *arguments)
        return done, pd.read_csv(workplace / "reports/latest/comparisons.csv").set_index(["implementation", "tensor"])

    return of


def test_the_elements_that_were_printed_are_compared(run, workplace):
    done, rows = run(CASE)
    assert done.returncode == 0, done.stdout
    printed = rows.loc["published"]
    assert printed["elements"].to_dict() == {
        "layer0.W_xh": 10,
        "layer0.W_hh": 5,
        "layer1.W_hh": 25,
        "layer1.b_h": 5,
        "layer0.h0": 1,
        "inputs": 3,
        **dict.fromkeys(["loss", "outputs", "layer0.b_h", "layer1.W_xh", "layer1.h0"], 0),
    }
    assert printed.loc["layer0.W_xh", "reason"] == "10 of 15 elements compared"
    assert pd.isna(printed.loc["layer1.W_hh", "reason"])
    assert printed.loc["layer1.b_h", "atol"] == pytest.approx(5e-6)
    assert "49 of 185 elements" in done.stdout
    assert "| published | 1 | 49 of 185 elements |" in (workplace / "reports/latest/summary.md").read_text()


@pytest.mark.parametrize(
    ("right", "wrong", "tensor", "index"),
    [
        ("-0.101933", "-0.101934", "layer1.b_h", "[2]"),
        ("0.00139625", "0.00139626", "layer0.h0", "[0, 4]"),
        ("-0.0111946", "-0.0111945", "inputs", "[1, 2, 2]"),
    ],
)
def test_a_last_digit_that_is_wrong_by_one_is_a_mismatch(run, right, wrong, tensor, index):
    assert right in CASE
    done, rows = run(CASE.replace(right, wrong))
    assert done.returncode == 1
    row = rows.loc[("published", tensor)]
    assert (row["verdict"], row["failed"], row["worst_index"]) == ("mismatch", 1, index)
    assert (rows.loc["numpy-concat"]["verdict"] == "match").all()


def test_fewer_digits_allow_more_and_a_trailing_zero_counts(run):
    """-0.101933 is right: so is -0.10; -0.100 is not."""
    assert run(CASE.replace("-0.101933", "-0.10"))[0].returncode == 0
    assert run(CASE.replace("-0.101933", "-0.100"))[0].returncode == 1


def test_it_takes_part_in_float32_too(run):
    done, rows = run(CASE + "dtype: float32\n")
    assert done.returncode == 0, done.stdout
    assert rows.loc[("published", "layer1.W_hh"), "verdict"] == "match"


def test_a_list_of_implementations_leaves_it_in(harness, workplace):
    (workplace / "cases" / "small.yaml").write_text(CASE + "implementations: [numpy-concat]\n")
    harness("run", "small")
    runs = pd.read_csv(workplace / "reports/latest/runs.csv")
    assert set(runs["implementation"]) == {"numpy-split", "numpy-concat", "published"}


def test_a_case_without_published_values_does_not_ask_for_them(harness, workplace):
    done = harness("run", "--impl", "published")
    assert done.returncode == 5
    assert "nothing was compared" in done.stderr


def test_its_digits_do_not_count_for_the_headroom_of_the_tolerances(harness, workplace):
    from harness.report.headroom import headroom

    (workplace / "cases" / "small.yaml").write_text(CASE)
    harness("run", "--impl", "published,certified")
    table = headroom(workplace / "reports" / "latest")
    assert set(table["implementation"]) == {"certified"}
