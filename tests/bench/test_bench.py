"""The benchmark: who disagrees is not timed, who agrees is, and the table says both."""

import csv
import json
import os
from dataclasses import replace

import numpy as np
import pytest

from harness import cli
from harness.bench import Bench, Figures, Point, contestants, grid
from harness.bench import table as tables
from harness.bench.points import GRID
from harness.bench.process import timed
from harness.bench.running import Reference
from harness.problem import build
from harness.report.table import read

POINT = Point("lstm", "float64", 2, 3, 4, 5)
QUICK = ("bench", "--quick", "--cell", "rnn", "--out", "speed")


@pytest.fixture(scope="module")
def reference():
    return Reference(build(POINT.case, None))


def test_the_right_answer_agrees(reference):
    assert reference.disagreement(reference.expected) == ""


@pytest.mark.parametrize("tensor", ["layer0.W_xh", "layer0.b_h", "layer0.c0", "inputs"])
def test_a_gradient_off_by_a_millionth_does_not_agree(reference, tensor):
    right = reference.expected
    wrong = replace(right, gradients={**right.gradients, tensor: right.gradients[tensor] * (1 + 1e-6)})
    assert tensor in reference.disagreement(wrong)


def test_a_missing_gradient_does_not_agree(reference):
    fewer = {name: each for name, each in reference.expected.gradients.items() if name != "layer0.h0"}
    assert "layer0.h0: is missing" in reference.disagreement(replace(reference.expected, gradients=fewer))


def test_outputs_in_another_dtype_do_not_agree(reference):
    wrong = replace(reference.expected, outputs=reference.expected.outputs.astype(np.float32))
    assert "float32" in reference.disagreement(wrong)


@pytest.mark.parametrize("name", ["bench.csv", "bench.svg", "bench.json"])
@pytest.mark.parametrize("kind", ["file", "link", "folder", "pipe"])
def test_a_file_of_somebody_else_is_not_written_over(harness, workplace, name, kind):
    (workplace / "speed").mkdir()
    path = workplace / "speed" / name
    mine = path if kind == "file" else workplace / "mine"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        mine.write_text("mine")
        if kind == "link":
            path.symlink_to(mine)
    done = harness(*QUICK, "--impl", "numpy-split")
    assert done.returncode == 2
    assert f"speed/{name} is in the way: no benchmark wrote it" in done.stderr
    assert kind in ("folder", "pipe") or mine.read_text() == "mine"


def test_a_table_that_was_edited_is_not_written_over(harness, workplace):
    assert harness(*QUICK, "--impl", "numpy-split").returncode == 0
    assert harness(*QUICK, "--impl", "numpy-split").returncode == 0
    table = workplace / "speed" / "bench.csv"
    with table.open("a") as file:
        file.write("my notes\n")
    done = harness(*QUICK, "--impl", "numpy-split")
    assert done.returncode == 2
    assert "speed/bench.csv is in the way" in done.stderr
    assert table.read_text().endswith("my notes\n")


def test_the_quick_run_writes_table_and_plot(harness, workplace):
    done = harness(*QUICK, "--impl", "numpy-split,numpy-concat", "--json")
    assert done.returncode == 0, done.stderr
    with (workplace / "speed" / "bench.csv").open() as file:
        assert next(csv.reader(file)) == list(tables.COLUMNS)
    rows = read(workplace / "speed" / "bench.csv", tables.COLUMNS)
    assert {(row["contestant"], row["dtype"], row["status"]) for row in rows} == {
        (name, dtype, "ok") for name in ("numpy-split", "numpy-concat") for dtype in ("float32", "float64")
    }
    for row in rows:
        assert row["runs"] >= 3
        assert row["first_seconds"] > 0
        assert 0 < row["fastest_seconds"] <= row["lower_quartile_seconds"] <= row["median_seconds"]
        assert row["median_seconds"] <= row["upper_quartile_seconds"]
        assert row["share_of_peak"] > 0
        assert row["ratio_to_others"] is None, "there is no other framework"
        assert row["versions"] == f"numpy {np.__version__}"
    assert [row["median_seconds"] for row in json.loads(done.stdout)] == [row["median_seconds"] for row in rows]
    assert "<svg" in (workplace / "speed" / "bench.svg").read_text()


def test_a_wrong_contestant_is_refused_and_the_others_are_timed(harness, workplace):
    done = harness(*QUICK, "--impl", "numpy-split,wrong-contestant")
    assert done.returncode == 1
    assert "wrong-contestant, rnn float32 8, 50, 32, 64: not timed (mismatch): layer0.W_hh" in done.stderr
    rows = read(workplace / "speed" / "bench.csv", tables.COLUMNS)
    assert {(row["contestant"], row["status"], row["runs"] > 0) for row in rows} == {
        ("numpy-split", "ok", True),
        ("wrong-contestant", "mismatch", False),
    }
    assert all(row["median_seconds"] is None for row in rows if row["contestant"] == "wrong-contestant")


def test_without_matplotlib_it_says_how_to_get_it_before_anything_is_timed(capsys, monkeypatch):
    monkeypatch.setattr("harness.cli.options.find_spec", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        cli.main(["bench"])
    assert ended.value.code == 4
    said = "harness bench needs matplotlib, which is not installed; pip install 'bptt-harness[bench]'\n"
    assert capsys.readouterr() == ("", said)


def test_those_that_fail_cost_only_their_own_figures(harness, workplace):
    done = harness(*QUICK, "--impl", "numpy-split,raising-contestant,ending-contestant")
    assert done.returncode == 3
    assert "RuntimeError: cannot be prepared" in done.stderr
    assert "ended with status 7" in done.stderr
    assert "Traceback" not in done.stderr
    rows = read(workplace / "speed" / "bench.csv", tables.COLUMNS)
    assert {row["contestant"] for row in rows if row["status"] == "ok"} == {"numpy-split"}
    assert len(rows) == 6


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--impl", "numpy-splt"), 2, "did you mean 'numpy-split'"),
        (("--cell", "lstn"), 2, "did you mean 'lstm'"),
        (("--threads", "0"), 2, "threads"),
    ],
    ids=["contestant", "cell", "threads"],
)
def test_what_is_unknown_is_refused(harness, workplace, arguments, status, said):
    done = harness("bench", "--out", "speed", *arguments)
    assert done.returncode == status
    assert said in done.stderr
    assert not (workplace / "speed").exists()


def test_ratios_are_to_the_fastest_of_other_frameworks():
    def took(name, framework, seconds):
        return Figures(POINT, name, framework, "ok", "", np.array(seconds), 2 * np.array(seconds))

    figures = (
        took("numpy-split", "numpy", [3.0, 2.0, 100.0]),
        took("numpy-concat", "numpy", [1.0]),
        took("torch", "torch", [6.0]),
        took("keras", "keras", [4.0]),
        took("jax", "jax", [2.0]),
    )
    rows = {row["contestant"]: row for row in tables.rows(Bench(figures, {POINT: (1e9, 2e9)}, 1, {}))}
    assert rows["numpy-split"]["median_seconds"] == 3
    assert rows["numpy-split"]["ratio_to_torch_and_tensorflow"] == 3 / 4
    assert rows["numpy-split"]["ratio_to_others"] == 3 / 2
    assert rows["torch"]["ratio_to_others"] == 6
    assert rows["jax"]["share_of_peak"] == tables.operations(POINT) / 2 / 1e9
    assert rows["jax"]["processor_share_of_peak"] == tables.operations(POINT) / 4 / 2e9
    best = tables.best_by_hand(rows.values())
    assert [row["contestant"] for row in best] == ["numpy-concat"]
    assert tables.geometric_mean(best, "ratio_to_others") == pytest.approx(1 / 2)


def test_runs_are_counted_and_limited():
    calls = []
    assert len(timed(lambda: calls.append(None), 60.0, 5)) == len(calls) == 5
    assert len(timed(lambda: calls.append(None), 0.0, 5)) == 1


def test_the_grid_has_both_dtypes_and_no_two_sizes_alike():
    assert len(grid(["rnn", "gru"])) == 2 * 2 * len(GRID)
    assert all(len(set(sizes)) == 4 for sizes in GRID)


def test_what_takes_minutes_takes_part_by_name_alone():
    assert contestants()["torch-compiled"].only_named
