"""Since when an implementation disagrees."""

from dataclasses import replace

import pytest

from harness import report
from harness.report import manifest


def dated(of_report, date, **verdicts):
    rows = [
        {**row, "verdict": verdicts.get(row["implementation"], row["verdict"]), "since": ""}
        for row in of_report["runs"]
    ]
    tables = {**of_report.tables, "runs": rows}
    return replace(of_report, environment={**of_report.environment, "date": date}, tables=tables, folder=None)


@pytest.fixture
def since(written, tmp_path):
    """Write reports one over the other; return since when an implementation disagrees in the last."""
    original = report.read(written)
    tables = {**original.tables, "cases": [{**row, "tensors": ""} for row in original["cases"]]}
    original = replace(original, tables=tables)

    def write(*days):
        for date, verdicts in days:
            report.write(dated(original, date, **verdicts), tmp_path / "latest")
        rows = report.read(tmp_path / "latest")["runs"]
        return {row["implementation"]: row["since"] for row in rows if row["case"] == "small[dtype=float32]"}

    return write


def test_a_disagreement_is_as_old_as_the_first_report_that_has_it(since):
    found = since(("monday", {}), ("tuesday", {}), ("wednesday", {}))
    assert found["sign"] == "monday"
    assert found["not_a_number"] == "monday"
    assert found["numpy-concat"] == found["numpy-split"] == found["representing_nothing"] == ""


def test_one_that_went_away_begins_anew(since):
    assert since(("monday", {}), ("tuesday", {"sign": "match"}), ("wednesday", {}))["sign"] == "wednesday"


def test_a_mismatch_that_becomes_an_error_is_as_old_as_it_was(since):
    assert since(("monday", {}), ("tuesday", {"sign": "error"}))["sign"] == "monday"


def test_what_cannot_be_read_has_no_say(since, tmp_path):
    since(("monday", {}))
    (tmp_path / "latest" / "runs.csv").write_text("an older format\n")
    manifest.write(tmp_path / "latest", {})
    assert since(("tuesday", {}))["sign"] == "tuesday"
