"""Kept results are judged anew: as they were, with other tolerances, against another baseline."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open

from harness import report
from harness.implementations import Promise
from harness.report import kept as keeping
from harness.report.judging import Judge, judged_anew


@pytest.fixture(scope="session")
def saved(written):
    return report.read(written)


def verdicts(of_report):
    return {(row["case"], row["implementation"]): row["verdict"] for row in of_report["runs"]}


def rows(of_report, *columns):
    return [[row[column] for column in columns] for row in of_report["comparisons"]]


def test_judged_as_it_was_it_comes_out_as_it_did(saved):
    again = report.of_run(judged_anew(saved, None, None), saved.folder)
    assert verdicts(again) == verdicts(saved)
    columns = (
        "case",
        "implementation",
        "tensor",
        "failed",
        "max_ulp_error",
        "error_ratio",
        "atol",
        "verdict",
        "reason",
    )
    assert repr(rows(again, *columns)) == repr(rows(saved, *columns))
    faults = [[(row["implementation"], row["fault"]) for row in each["diagnoses"]] for each in (again, saved)]
    assert faults[0] == faults[1]
    assert again["tolerances"] == saved["tolerances"]


def test_a_tolerance_that_is_wide_enough_lets_everything_pass_that_has_numbers(saved):
    again = report.of_run(judged_anew(saved, {"rtol": 0.0, "atol": 1e9}, None))
    found = verdicts(again)
    assert {found[case, "sign"] for case, _ in found} == {"match"}
    assert {found[case, "not_a_number"] for case, _ in found} == {"error"}
    assert {found[case, "missing"] for case, _ in found} == {"mismatch"}
    assert {row["origin"] for row in again["tolerances"]} == {"the case's tolerance"}


def test_a_tolerance_of_nothing_fails_what_is_off_by_a_rounding(saved):
    found = verdicts(report.of_run(judged_anew(saved, {"rtol": 0.0, "atol": 0.0}, "sign")))
    assert {verdict for (_, name), verdict in found.items() if name == "numpy-split"} == {"mismatch"}


def test_against_another_baseline_the_old_one_is_judged(saved):
    again = report.of_run(judged_anew(saved, None, "sign"))
    found = verdicts(again)
    assert {verdict for (_, name), verdict in found.items() if name == "sign"} == {""}
    assert {verdict for (_, name), verdict in found.items() if name == "numpy-split"} == {"mismatch"}
    assert {
        row["tensor"] for row in again["comparisons"] if row["implementation"] == "numpy-split" and row["failed"]
    } == {"layer0.h0"}
    assert not any(row["floor"] for row in again["floors"])


def test_a_baseline_that_returned_nothing_judges_nobody(saved):
    found = verdicts(report.of_run(judged_anew(saved, None, "raising")))
    assert {verdict for (_, name), verdict in found.items() if name == "numpy-split"} == {"error"}


def test_what_was_kept_is_to_the_bit_what_was_compared(saved):
    path = saved.kept["small[dtype=float32]"]
    kept = keeping.read(path)
    assert kept.problem.inputs.dtype == np.float32
    assert set(kept.results) >= {"numpy-split", "numpy-concat", "sign", "wrong_shape"}
    right, wrong = (kept.results[name].gradients["layer0.h0"] for name in ("numpy-split", "sign"))
    np.testing.assert_array_equal(right, -wrong)
    worst = next(
        row
        for row in saved["comparisons"]
        if (row["case"], row["implementation"], row["tensor"]) == ("small[dtype=float32]", "sign", "layer0.h0")
    )
    assert float(wrong[worst["worst_index"]]) == worst["actual"]


@pytest.mark.parametrize("dtype", ["longdouble", ">f8", "float16", "int8"])
def test_arrays_of_any_dtype_are_kept(saved, tmp_path, dtype):
    kept = keeping.read(saved.kept["small[dtype=float64]"])
    odd = np.arange(6).reshape(2, 3).astype(dtype)[:, ::2]
    result = replace(kept.results["numpy-split"], gradients={"layer0.W_hh": odd})
    outcome = _outcome(kept, {"mine": result})
    keeping.keep(outcome, tmp_path / "x.safetensors")
    again = keeping.read(tmp_path / "x.safetensors").results["mine"].gradients["layer0.W_hh"]
    assert again.dtype == odd.dtype
    np.testing.assert_array_equal(again, odd)


@pytest.mark.parametrize("promise", [Promise(), Promise(all_gradients=True), Promise(complete=True, float32_eps=0.5)])
def test_an_answer_is_judged_anew_by_what_was_promised_of_it(saved, tmp_path, promise):
    """Numbers that are off by a thousandth are those of coarse products, and no others."""
    kept = keeping.read(saved.kept["small[dtype=float32]"])
    right = kept.results["numpy-split"]
    off = {name: (array * np.float32(1.001)).astype(np.float32) for name, array in right.gradients.items()}
    result = replace(right, gradients={**off, "inputs": right.gradients["inputs"]})
    if not promise.complete:
        result = right.only({"loss", "layer0.W_hh"})
    judged = [replace(each, promise=promise) for each in kept.judged if each.implementation == "numpy-concat"]
    judged += [each for each in kept.judged if each.implementation == "numpy-split"]
    outcome = _outcome(replace(kept, judged=tuple(judged)), {"numpy-split": right, "numpy-concat": result})
    keeping.keep(outcome, tmp_path / "x.safetensors")
    again = keeping.read(tmp_path / "x.safetensors")
    assert {each.implementation: each.promise for each in again.judged}["numpy-concat"] == promise
    (anew,) = [each for each in Judge(None, None).judged(again).judged if each.implementation == "numpy-concat"]
    assert anew.verdict == ("mismatch" if promise.all_gradients else "match")


def _outcome(kept, results):
    from harness.execution.session import CaseNumbers, CaseOutcome

    numbers = CaseNumbers(kept.problem, kept.noise, results)
    return CaseOutcome(kept.problem.case, "numpy-split", kept.judged, {}, kept.floors, numbers)


def _saved_by_another():
    from safetensors.numpy import save

    return save({"weight": np.zeros(3)})


DAMAGE = {
    "empty": lambda _: b"",
    "cut": lambda data: data[: len(data) // 2],
    "header_too_long": lambda data: (2**62).to_bytes(8, "little") + data[8:],
    "no_json": lambda data: data[:8] + b"x" * (len(data) - 8),
    "anothers": lambda _: _saved_by_another(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_said_to_be_damaged(saved, tmp_path, damage):
    path = tmp_path / "00000.safetensors"
    path.write_bytes(damage(next(iter(saved.kept.values())).read_bytes()))
    with pytest.raises(keeping.Damaged, match=r"00000\.safetensors"):
        keeping.read(path)


def test_a_file_of_another_case_is_noticed(copied):
    one, two = (copied / "tensors" / f"{number:05}.safetensors" for number in (0, 1))
    _swap(one, two)
    with pytest.raises(keeping.Damaged, match=r"00000\.safetensors holds small\[dtype=float64\], but"):
        judged_anew(report.read(copied), None, None)


def _swap(one, two):
    first, second = one.read_bytes(), two.read_bytes()
    one.unlink()
    one.write_bytes(second)
    two.unlink()
    two.write_bytes(first)


def test_only_what_failed_is_kept_on_request(harness, workplace):
    harness("run", "--impl", "numpy-concat", "--tensors", "failed", "--out", "good")
    assert not (workplace / "good" / "tensors").exists()
    harness("run", "--impl", "sign", "--tensors", "failed", "--out", "bad")
    assert len(list((workplace / "bad" / "tensors").iterdir())) == 1
    refused = harness("judge", "good", "--atol", "1")
    assert refused.returncode == 2
    assert "good holds no tensors" in refused.stderr


@pytest.mark.parametrize(("name", "status"), [("numpy-concat", 0), ("sign", 1), ("not_a_number", 3)])
def test_what_cannot_be_judged_anew_stays_wrong(harness, workplace, name, status):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "sweep: {tolerance: [{atol: 100}, {atol: 0.001}]}\n")
    harness("run", "--impl", name)
    table = workplace / "reports" / "latest" / "cases.csv"
    table.write_text(table.read_text().replace("tensors/00001.safetensors", ""))
    done = harness("judge", "reports/latest")
    assert done.returncode == status
    assert "the tensors of 1 case were not kept" in done.stderr
    assert ("small[tolerance={atol:0.001}] was not judged again: expected match, found" in done.stderr) is (status > 0)


def test_where_nothing_can_be_compared_nothing_is_judged(harness):
    assert harness("run", "--impl", "representing_nothing").returncode == 5
    done = harness("judge", "reports/latest")
    assert done.returncode == 5
    assert "Passed" not in done.stdout


def test_the_command_says_what_would_have_been(harness, workplace):
    assert harness("run", "--impl", "numpy-concat,sign").returncode == 1
    judged = harness("judge", "reports/latest", "--atol", "100", "--out", "wide", "--json")
    assert judged.returncode == 0
    assert {row["verdict"] for row in json.loads(judged.stdout)["results"]} == {"match"}
    assert harness("diff", "reports/latest", "wide").returncode == 0
    assert harness("diff", "wide", "reports/latest").returncode == 1
    assert harness("judge", "wide").returncode == 1, "the case's own tolerance again"
    assert "did you mean 'numpy-concat'" in harness("judge", "wide", "--baseline", "numpy-concta").stderr
    assert harness("judge", "wide", "--rtol", "-1").returncode == 2
    assert sorted(path.name for path in workplace.iterdir()) == ["cases", "reports", "wide"], "nothing is left behind"


def _content(change):
    """Rewrite what stands beside the tensors in a file of them."""

    def rewrite(path):
        from safetensors.numpy import load_file, save_file

        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
        content = json.loads(metadata["content"])
        change(content)
        save_file(load_file(path), path, {**metadata, "content": json.dumps(content)})

    return rewrite


REWRITTEN = {
    "no_seconds": (lambda content: content["results"]["numpy-split"].pop("seconds"), "has no seconds"),
    "no_baseline": (
        lambda content: content["judged"].pop(0),
        "numpy-split cannot be the baseline: no result of it was kept for small",
    ),
    "somebody_twice": (lambda content: content["judged"].append(content["judged"][0]), "one of them twice"),
    "sizes_of_another": (lambda content: content["problem"]["case"]["sizes"].update(hidden=6), "should be float"),
    "no_dtype": (lambda content: content["problem"]["case"].update(dtype="float8"), "ValidationError"),
    "a_status": (lambda content: content["judged"][1].update(status="fine"), "'fine'"),
    "a_loss": (lambda content: content["judged"][1].update(loss="1"), "loss or seconds of numpy-concat is no number"),
    "a_reason": (lambda content: content["judged"][1].update(reason=[1]), "should be a text"),
    "a_promise": (lambda content: content["judged"][1].update(float32_eps="coarse"), "is said to promise"),
    "a_noise": (lambda content: content["noise"].update(loss="little"), "'little' should be a number"),
    "a_tensor": (lambda content: content["order"].append("x" * 10_000), "SafetensorError"),
}


@pytest.mark.parametrize(("change", "said"), REWRITTEN.values(), ids=REWRITTEN)
def test_what_says_of_itself_what_is_not_so_is_refused(copied, change, said):
    _content(change)(copied / "tensors" / "00000.safetensors")
    with pytest.raises(keeping.Damaged, match=said) as refused:
        judged_anew(report.read(copied), None, None)
    assert len(str(refused.value)) < 600
