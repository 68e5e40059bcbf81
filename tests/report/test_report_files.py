"""The files of a report: every row, every element, every bit."""

import csv
import json
import math
import re
import struct
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.conftest import SMALL_CASE

IMPLEMENTATIONS = (
    "numpy-concat,off_by_a_millionth,sign,not_a_number,missing,extra,wrong_shape,representing_nothing,raising,partial"
)

COLUMNS = {
    "comparisons.csv": "case, implementation, baseline, tensor, shape, dtype, elements, failed, max_abs_error, "
    "max_rel_error, max_ulp_error, error_ratio, worst_index, actual, expected, rtol, atol, floor, verdict, reason",
    "elements.csv": "case, implementation, tensor, index, actual, expected, abs_error, rel_error, ulp_error, allowed, "
    "verdict",
    "tolerances.csv": "case, tensor, dtype, rtol, atol, origin",
    "runs.csv": "case, implementation, status, loss, seconds, version, reason",
}


@pytest.fixture(scope="module")
def report(reported):
    return reported(SMALL_CASE, IMPLEMENTATIONS, 3)


@pytest.fixture(scope="module")
def compared(report):
    return pd.read_csv(report / "comparisons.csv")


def test_the_columns_are_those_of_the_contract(report):
    for file, columns in COLUMNS.items():
        found = pd.read_csv(report / file).columns.tolist()
        assert found[: len(columns.split(", "))] == columns.split(", ")


def test_every_tensor_of_every_implementation_has_one_row(compared):
    assert not compared.duplicated(["case", "implementation", "tensor"]).any()
    tensors = {"loss", "outputs", "inputs"}
    tensors |= {f"layer{n}.{name}" for n in (0, 1) for name in ("W_xh", "W_hh", "b_h", "h0")}
    for implementation in IMPLEMENTATIONS.split(","):
        rows = compared[compared["implementation"] == implementation]
        expected = tensors | ({"layer9.W_hh"} if implementation == "extra" else set())
        assert set(rows["tensor"]) == expected, implementation


def test_every_element_is_counted_once(compared):
    B, T, I, H = 2, 3, 4, 5
    count = 1 + B * T * H + B * T * I + (I * H + H * H + H) + (2 * H * H + H) + 2 * B * H
    elements = compared.groupby("implementation")["elements"].sum()
    for implementation in (
        "numpy-concat",
        "sign",
        "not_a_number",
        "off_by_a_millionth",
        "missing",
        "wrong_shape",
        "raising",
    ):
        expected = 0 if implementation == "raising" else count
        assert elements[implementation] == expected, implementation
    assert elements["representing_nothing"] == 0
    assert elements["partial"] == H * H


def test_verdicts_and_reasons(compared):
    def row(implementation, tensor):
        return compared[(compared["implementation"] == implementation) & (compared["tensor"] == tensor)].iloc[0]

    assert (compared[compared["implementation"] == "numpy-concat"]["verdict"] == "match").all()
    assert row("off_by_a_millionth", "layer0.W_hh")[["verdict", "failed", "worst_index"]].tolist() == [
        "mismatch",
        1,
        "[0, 1]",
    ]
    assert row("sign", "layer0.h0")["failed"] == 10
    assert row("not_a_number", "layer0.W_xh")["verdict"] == "error"
    assert math.isnan(row("not_a_number", "layer0.W_xh")["error_ratio"])
    assert row("missing", "layer1.W_hh")[["verdict", "reason"]].tolist() == ["mismatch", "is missing"]
    assert row("missing", "layer1.W_hh")["failed"] == 25
    assert row("extra", "layer9.W_hh")["verdict"] == "mismatch"
    assert "(4,)" in row("wrong_shape", "layer0.b_h")["reason"]
    assert row("representing_nothing", "loss")[["verdict", "reason"]].tolist() == [
        "unsupported",
        "this one represents nothing",
    ]
    assert row("raising", "loss")["verdict"] == "error"
    assert row("partial", "layer0.W_xh")[["verdict", "reason"]].tolist() == ["unsupported", "not provided"]


def test_a_mismatch_has_a_ratio_above_one_and_a_match_has_not(compared):
    judged = compared[compared["verdict"].isin(["match", "mismatch"]) & compared["error_ratio"].notna()]
    assert len(judged) > 70
    assert ((judged["error_ratio"] > 1) == (judged["verdict"] == "mismatch")).all()


def test_elements_are_those_that_failed(report, compared):
    elements = pd.read_csv(report / "elements.csv")
    counted = elements.groupby(["implementation", "tensor"]).size()
    failed = compared[(compared["failed"] > 0) & compared["error_ratio"].notna()].set_index(
        ["implementation", "tensor"]
    )
    assert counted[("off_by_a_millionth", "layer0.W_hh")] == 1
    for key, row in failed.iterrows():
        assert counted[key] == row["failed"], key
    assert set(elements["verdict"]) == {"mismatch"}
    one = elements[elements["implementation"] == "off_by_a_millionth"].iloc[0]
    assert one["index"] == "[0, 1]"
    assert one["abs_error"] == abs(one["actual"] - one["expected"])
    assert one["abs_error"] > one["allowed"] > 0


def test_all_elements_or_none_on_request(harness, workplace):
    harness("run", "--impl", "numpy-concat,sign", "--elements", "all", "--out", "all")
    elements = pd.read_csv(workplace / "all" / "elements.csv")
    compared = pd.read_csv(workplace / "all" / "comparisons.csv")
    assert len(elements) == compared["elements"].sum()
    assert set(elements["verdict"]) == {"match", "mismatch"}
    assert not elements.duplicated(["implementation", "tensor", "index"]).any()
    harness("run", "--impl", "sign", "--elements", "none", "--out", "none")
    assert len(pd.read_csv(workplace / "none" / "elements.csv")) == 0


def test_floats_read_back_to_the_same_bits(tmp_path):
    from harness.report import table

    random = np.random.default_rng(0)
    numbers = random.integers(0, 2**64, 5000, dtype=np.uint64).view(np.float64)
    numbers = np.append(numbers[np.isfinite(numbers)], [0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1 / 3])
    table.write(tmp_path / "t.csv", ("x",), ({"x": float(number)} for number in numbers))
    read = pd.read_csv(tmp_path / "t.csv")["x"].to_numpy()
    assert struct.pack(f"{len(read)}d", *read) == struct.pack(f"{len(numbers)}d", *numbers)


def test_missing_and_nan_are_told_apart(tmp_path):
    from harness.report import table

    rows = [{"a": None, "b": float("nan")}, {"a": float("-inf"), "b": (1, 2)}]
    table.write(tmp_path / "t.csv", ("a", "b"), rows)
    assert (tmp_path / "t.csv").read_text() == 'a,b\n,nan\n-inf,"[1, 2]"\n'


def test_a_case_name_with_commas_and_quotes_survives(tmp_path):
    from harness.report import table

    table.write(tmp_path / "t.csv", ("case",), [{"case": 'a[x=1,y="2"]\n'}])
    assert pd.read_csv(tmp_path / "t.csv")["case"].tolist() == ['a[x=1,y="2"]\n']


def test_tolerances_say_what_was_applied_and_where_it_came_from(report, compared):
    in_force = pd.read_csv(report / "tolerances.csv").set_index("tensor")
    for _, row in compared[compared["atol"].notna()].iterrows():
        assert row["atol"] == in_force.loc[row["tensor"], "atol"]
        assert row["rtol"] == in_force.loc[row["tensor"], "rtol"]
    assert in_force.loc["layer0.W_hh", "origin"].startswith("16 units for W_hh in float64")


def test_a_tolerance_in_the_case_is_applied_and_named(harness, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "tolerance: {layer0.W_hh: {rtol: 1e-5}, default: {rtol: 1e-12, atol: 1e-13}}\n")
    assert harness("run", "--impl", "off_by_a_millionth").returncode == 0
    in_force = pd.read_csv(workplace / "reports/latest/tolerances.csv").set_index("tensor")
    assert in_force.loc["layer0.W_hh"].tolist() == [
        "small",
        "float64",
        1e-5,
        0.0,
        "the case's tolerance of layer0.W_hh",
    ]
    assert in_force.loc["loss", "origin"] == "the case's tolerance of default"


def test_runs_have_a_row_for_each_implementation_and_the_baseline(report):
    runs = pd.read_csv(report / "runs.csv").set_index("implementation")
    assert set(runs.index) == {"numpy-split", *IMPLEMENTATIONS.split(",")}
    assert runs.loc["numpy-split", "status"] == "ok"
    assert runs.loc["numpy-split", "version"] == f"numpy {np.__version__}"
    assert runs.loc["sign", "loss"] == runs.loc["numpy-split", "loss"]
    assert runs.loc["raising", "status"] == "error"
    assert runs.loc["raising", "reason"] == "ValueError: shapes (4,3) and (4,5) not aligned"
    assert runs.loc["representing_nothing", "status"] == "unsupported"


def test_the_environment_names_versions_threads_and_machine(report):
    environment = json.loads((report / "environment.json").read_text())
    assert environment["frameworks"]["numpy"] == {"numpy": np.__version__}
    assert environment["threads"]["OMP_NUM_THREADS"]
    assert environment["baseline"] == "numpy-split"
    assert environment["processors"] >= 1


def test_the_summary_begins_with_what_disagrees(report):
    page = (report / "summary.md").read_text()
    assert page.index("## What disagrees") < page.index("## Worst error ratio")
    assert "layer0.W\\_hh: 1 of 25 elements outside the tolerance" in page
    assert "this one represents nothing" in page


def test_seeds_and_what_becomes_of_subnormal_numbers_are_told(harness, workplace):
    harness("run", "--impl", "numpy-concat,complex-step", "--out", "told")
    import json

    environment = json.loads((workplace / "told" / "environment.json").read_text())
    assert environment["subnormals"] == {
        "numpy-split": "kept",
        "numpy-concat": "kept",
        "complex-step": "flushed to zero",
    }
    assert environment["threads"]["OMP_NUM_THREADS"] == "1"
    (row,) = pd.read_csv(workplace / "told" / "cases.csv").to_dict("records")
    assert row["seeds"] == "weights 1, inputs 2, initial_state 3, upstream 4"


TEXTS = [
    "=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1+1", "'", "''", "'=1", "'tis",
    "-", "a\rb", "a\r\nb", "a\nb", "a=1", "", " ", '"', '"=1"', "a,b", "\\", "nan", "NA", "-1.5", "+inf", "1e-7", "é",
]  # fmt: skip
NO_FORMULA = ("-1.5", "+inf")
"""Texts that begin as formulas do and are numbers."""


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """A table of texts and numbers, and its rows."""
    from harness.report import table

    path, columns = tmp_path_factory.mktemp("cells") / "t.csv", {"text": "text", "number": "number"}
    rows = [{"text": text, "number": number} for text in TEXTS for number in (-1.5, math.inf, -math.inf, 0.1, None)]
    table.write(path, columns, rows)
    return path, columns, rows


def test_every_text_reads_back_as_it_was(cells):
    from harness.report import table

    path, columns, rows = cells
    assert table.read(path, columns) == rows


def test_no_cell_is_a_formula_to_a_spreadsheet(cells):
    """As a spreadsheet reads them, or Python's own module: by what a cell begins with."""
    path, _, rows = cells
    with path.open(newline="", encoding="utf-8") as file:
        found = [row["text"] for row in csv.DictReader(file)]
    assert len(found) == len(rows)
    for text in found:
        assert text in NO_FORMULA or not text.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝")), text


def test_numbers_stay_numbers_to_everybody(cells):
    path, _, rows = cells
    read = pd.read_csv(path)["number"].tolist()
    assert read[:4] == [row["number"] for row in rows[:4]] == [-1.5, math.inf, -math.inf, 0.1]


HOSTILE = "=1+1 \ud800\0\x1b[2J | <img src=x> @somebody ![a](http://b) `c` #12 **d**"


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A report of which every text that can be somebody else's is hostile, written and read back."""
    from harness import report
    from harness.case import read
    from harness.case.loading import CaseFile
    from harness.execution.session import CaseOutcome, Judgement, Run
    from harness.execution.session.floors import Floors
    from harness.problem import build

    place = tmp_path_factory.mktemp("odd")
    (place / "x.yaml").write_text(SMALL_CASE)
    (case,) = read(CaseFile(place / "x.yaml", place)).cases
    case = replace(case, name=HOSTILE, file=HOSTILE, about=HOSTILE, because=HOSTILE, expect="mismatch")
    assert build(case, None)
    judged = (
        Judgement(implementation="numpy-split", status="ok", verdict=None),
        Judgement(implementation=HOSTILE, status="error", verdict="error", reason=HOSTILE * 1000, detail=HOSTILE),
    )
    floors = Floors(source=HOSTILE, reason=HOSTILE)
    run = Run("numpy-split", ("numpy-split", HOSTILE), versions={HOSTILE: {HOSTILE: HOSTILE}})
    run.outcomes.append(CaseOutcome(case, "numpy-split", judged, {}, floors, None))
    report.write(report.of_run(run), place / "report")
    return place / "report"


def test_an_odd_character_costs_nothing_of_the_report(odd):
    from harness import report

    files = {path.name for path in odd.iterdir()}
    assert {*COLUMNS, "environment.json", "summary.md", "index.html", "cases.csv", "diagnoses.csv"} <= files
    (case,) = report.read(odd)["cases"]
    assert case["case"] == case["about"] == HOSTILE.replace("\ud800\0\x1b", r"\ud800\x00\x1b")
    for path in odd.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not set(text) & {"\0", "\x1b"}, path.name
    assert json.loads((odd / "environment.json").read_text())["frameworks"]


def test_a_text_without_end_is_cut(odd):
    (failed,) = pd.read_csv(odd / "runs.csv").query("status == 'error'").to_dict("records")
    assert len(failed["reason"]) < 32_767, "what a cell of a spreadsheet holds"
    assert failed["reason"].endswith(" letters in all)")


def test_no_text_of_somebody_elses_is_markup_in_the_summary(odd):
    page = (odd / "summary.md").read_text()
    ours = re.sub(r"`[a-z.]+`", "", page)  # names of files
    assert "somebody" in ours
    for mark in ("<img", "![", "@somebody", "http://", "#12", "**"):
        assert mark not in ours, mark
    assert not re.search(r"(?<!\\)[`<*\[\]]", ours)
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1, "as many cells in each row"


@pytest.mark.parametrize(
    "begins", ["- item", "+ item", "1. item", "12) item", "# head", "> quote", "===", "---", "\n\n# x"]
)
def test_no_text_begins_a_block_of_markdown(begins):
    from harness.report.markdown import plain

    assert re.match(r"\d*(\\|&)", plain(begins)), "what would begin it is escaped"


def test_no_text_of_somebody_elses_is_markup_on_the_page(odd):
    page = (odd / "index.html").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x&gt; @somebody" in page
