"""A report reads back as it was written; one that is not whole, none, or of another version is refused, unchanged."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from harness import report
from harness.report import overview, table
from harness.report.manifest import FORMAT
from harness.report.report import modules


def test_what_is_read_and_written_again_is_the_same_to_the_byte(written, tmp_path):
    report.write(report.read(written), tmp_path / "again")
    names = sorted(str(path.relative_to(written)) for path in written.rglob("*"))
    assert sorted(str(path.relative_to(tmp_path / "again")) for path in (tmp_path / "again").rglob("*")) == names
    for name in names:
        if (written / name).is_file():
            assert (tmp_path / "again" / name).read_bytes() == (written / name).read_bytes(), name


def test_the_pages_are_made_of_what_is_read(written):
    read = report.read(written)
    assert overview.status_line(read) in (written / "summary.md").read_text()
    assert {name for _, name, _ in overview.disagreements(read)} >= {"sign", "not_a_number", "missing", "raising"}
    sign = next(what for _, name, what in overview.disagreements(read) if name == "sign")
    assert sign.startswith("layer0.h0: 10 of 10 elements outside the tolerance; worst at [")


def test_a_source_of_floors_and_a_case_that_are_not_known_here_are_told_as_they_are(written):
    read = report.read(written)
    tables = {
        "cases": [{**row, "floor_source": "interval"} for row in read["cases"]],
        "diagnoses": [{**row, "case": "another"} for row in read["diagnoses"]],
    }
    other = replace(read, tables={**read.tables, **tables})
    assert "against interval in all 2 cases" in overview.floor_line(other)
    assert overview.explained(other, documented=False)
    assert not overview.explained(other, documented=True)


def test_every_cell_is_of_its_kind(written):
    read = report.read(written)
    for name, maker in modules().items():
        rows = list(read.elements()) if name == "elements" else read[name]
        for row in rows:
            for column, kind in maker.COLUMNS.items():
                assert isinstance(row[column], KINDS[kind]), (name, column, row[column])


KINDS = {
    "text": str,
    "count": (int, type(None)),
    "number": (float, type(None)),
    "flag": bool,
    "index": (tuple, type(None)),
}


def _remove(name):
    return lambda folder: (folder / name).unlink()


def _cut(name):
    def cut(folder):
        text = (folder / name).read_text()
        (folder / name).write_text(text[: text.rindex("\n", 0, len(text) - 1) + 1])

    return cut


def _put(name, text):
    return lambda folder: (folder / name).write_text(text)


def _change(name, **columns):
    def change(folder):
        found = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
        for column, value in columns.items():
            found.loc[1, column] = value
        found.to_csv(folder / name, index=False)

    return change


def _drop(name, column):
    return lambda folder: (
        pd.read_csv(folder / name, dtype=str, keep_default_na=False)
        .drop(columns=column)
        .to_csv(folder / name, index=False)
    )


DAMAGE = {
    "no_environment": (_remove("environment.json"), "is no report: it has no environment.json"),
    "no_manifest": (_remove("manifest.json"), "too old to be read: it has no manifest.json"),
    "manifest_is_no_json": (_put("manifest.json", "{"), "manifest.json is no JSON"),
    "manifest_is_a_list": (_put("manifest.json", "[]"), "manifest.json should be an object, but is a list"),
    "manifest_says_nothing": (_put("manifest.json", "{}"), "has the format None"),
    "rows_is_a_list": (_put("manifest.json", f'{{"format": {FORMAT}, "rows": []}}'), "manifest.json has no 'rows'"),
    "environment_is_no_json": (_put("environment.json", "x"), "environment.json is no JSON"),
    "environment_says_nothing": (_put("environment.json", "{}"), "environment.json has no 'baseline'"),
    "other_format": (_put("manifest.json", '{"format": 99, "rows": {}}'), "has the format 99"),
    "deep_json": (_put("manifest.json", "[" * 100_000), "manifest.json is no JSON"),
    "a_table_is_missing": (_remove("runs.csv"), "is not whole: runs.csv is missing"),
    "elements_are_missing": (_remove("elements.csv"), "is not whole: elements.csv is missing"),
    "a_row_is_missing": (_cut("tolerances.csv"), "is not whole: tolerances.csv has 21 rows, but should have 22"),
    "a_column_is_missing": (_drop("comparisons.csv", "atol"), "comparisons.csv has no column 'atol'"),
    "a_number_is_none": (
        _change("comparisons.csv", atol="little"),
        "comparisons.csv, row 2, column atol: 'little', but should be a number",
    ),
    "an_index_is_none": (_change("comparisons.csv", shape='[["a"]]'), "column shape: .* should be a list of whole"),
    "a_flag_is_none": (
        _change("cases.csv", as_expected="perhaps"),
        "as_expected: 'perhaps', but should be True or False",
    ),
    "kept_tensors_are_missing": (_remove("tensors/00001.safetensors"), "is not whole: tensors/00001.safetensors is"),
    "tensors_of_another_place": (
        _change("cases.csv", tensors="../../x"),
        "cases.csv names '../../x', which is no file",
    ),
    "a_verdict_is_none": (
        _change("runs.csv", verdict="misfit"),
        "runs.csv, row 2, column verdict: 'misfit', but should be unsupported, match, mismatch or error",
    ),
    "a_status_is_none": (_change("runs.csv", status="fine"), "column status: 'fine', but should be ok"),
    "a_shape_is_missing": (
        _change("comparisons.csv", shape=""),
        "row 2, column shape: nothing is there, but should be",
    ),
    "a_row_of_no_case": (_change("runs.csv", case="large"), "column case: 'large', but should be a case of cases.csv"),
    "a_version_is_a_list": (
        lambda folder: _put(
            "environment.json",
            (folder / "environment.json").read_text().replace('"frameworks": {', '"frameworks": {"x": "1", '),
        )(folder),
        "environment.json has '1' where something else belongs",
    ),
    "empty_file": (_put("cases.csv", ""), "cases.csv is no CSV file"),
    "ragged_file": (_put("cases.csv", "a,b\n1,2,3,4\n1\n"), "cases.csv"),
    "binary_file": (lambda folder: (folder / "cases.csv").write_bytes(b"\xff\xfe\x00\x01"), "cases.csv is no CSV file"),
}


@pytest.mark.parametrize(("damage", "said"), DAMAGE.values(), ids=DAMAGE)
def test_a_report_that_is_not_whole_is_refused_and_left_alone(copied, damage, said):
    damage(copied)
    before = {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()}
    with pytest.raises(report.NotAReport, match=said):
        report.read(copied)
    assert {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()} == before


def test_what_is_not_there_or_no_folder_is_said(tmp_path):
    with pytest.raises(report.NotAReport, match="does not exist; `harness run --out"):
        report.read(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(report.NotAReport, match="is no folder"):
        report.read(tmp_path / "file")


def test_a_column_that_a_later_version_added_is_no_harm(copied):
    found = pd.read_csv(copied / "runs.csv", dtype=str, keep_default_na=False)
    found["new"] = "x"
    found.to_csv(copied / "runs.csv", index=False)
    assert "new" not in report.read(copied)["runs"][0]


def test_line_ends_of_another_system_are_no_harm(copied, written):
    for path in copied.glob("*.csv"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert repr(report.read(copied)["comparisons"]) == repr(report.read(written)["comparisons"])


def test_a_text_that_looks_like_something_else_stays_a_text(tmp_path):
    texts = ["nan", "", "1", "True", "a,b", 'a "quoted"\nline', "[1]", "NA"]
    assert table.write(tmp_path / "t.csv", {"x": "text"}, ({"x": each} for each in texts)) == len(texts)
    assert [row["x"] for row in table.read(tmp_path / "t.csv", {"x": "text"})] == texts


def test_the_environment_is_json_as_it_was(written):
    assert report.read(written).environment == json.loads((written / "environment.json").read_text())
