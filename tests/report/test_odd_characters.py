"""A report is not lost to a character that no file takes, wherever it comes from."""

from dataclasses import replace

from harness import report

ODD = "\udcff \ud800"
WRITTEN = r"\udcff \ud800"


def test_a_lone_surrogate_is_written_as_an_escape(copied, tmp_path):
    found = report.read(copied)
    tables = {name: [dict(row) for row in rows] for name, rows in found.tables.items()}
    for row in tables["cases"]:
        row["about"] = ODD
    for row in tables["comparisons"]:
        row["reason"] = ODD
    for row in tables["runs"]:
        row["reason"] = ODD if row["status"] != "ok" else row["reason"]
    odd = replace(found, tables=tables, environment={**found.environment, "again": f"harness check {ODD}"})
    report.write(odd, tmp_path / "new")
    again = report.read(tmp_path / "new")
    assert {row["about"] for row in again["cases"]} == {WRITTEN}
    assert {row["reason"] for row in again["comparisons"]} == {WRITTEN}
    assert len(again["comparisons"]) == len(found["comparisons"])
    assert WRITTEN in (tmp_path / "new" / "summary.md").read_text(encoding="utf-8")
    assert WRITTEN in (tmp_path / "new" / "index.html").read_text(encoding="utf-8")
