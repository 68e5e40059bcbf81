"""The committed report can be read and compared with, and its cases are there."""

from pathlib import Path

import pytest

from harness.case import load
from harness.implementations import implementations
from harness.report import read
from harness.report.difference import difference

ROOT = Path(__file__).parents[2]
NEXT = "make baseline writes it anew"


@pytest.fixture(scope="module")
def baseline():
    return read(ROOT / "reports" / "baseline")


def test_its_cases_are_as_they_were(baseline):
    there = {case.name: case for case in load([str(ROOT / "cases")], implementations()).cases}
    for row in baseline["cases"]:
        assert row["case"] in there, f"{row['case']} is gone; {NEXT}"
        case = there[row["case"]]
        assert (row["about"], row["dtype"], row["time"]) == (case.about, case.dtype, case.sizes.time), NEXT


def test_everything_in_it_is_as_expected(baseline):
    assert all(row["as_expected"] for row in baseline["cases"])
    assert {"numpy-concat", "torch", "keras", "tf1", "complex-step"} <= {
        row["implementation"] for row in baseline["runs"]
    }
    assert difference(baseline, baseline).nothing


def test_it_tells_of_no_place(baseline):
    for path in (ROOT / "reports" / "baseline").iterdir():
        assert str(ROOT).encode() not in path.read_bytes(), path.name
