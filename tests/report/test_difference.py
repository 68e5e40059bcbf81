"""Changes between two reports: a worse result is reported as worse, and rounding that comes and goes is not."""

from dataclasses import replace

import pytest

from harness import report
from harness.report.difference import difference


@pytest.fixture(scope="module")
def before(written):
    return report.read(written)


def with_rows(before, table, change):
    """Return a report with the rows of a table changed, or dropped where ``change`` returns None."""
    rows = [changed for row in before[table] if (changed := change(dict(row))) is not None]
    return replace(before, tables={**before.tables, table: rows})


def where(columns, **changes):
    return lambda row: {**row, **changes} if columns.items() <= row.items() else row


CASE = "small[dtype=float64]"
OF_CONCAT = {"case": CASE, "implementation": "numpy-concat"}
OF_SIGN = {"case": CASE, "implementation": "sign"}


def test_nothing_changed(before):
    found = difference(before, before)
    assert found.nothing
    assert not found.worse


@pytest.mark.parametrize("verdict", ["mismatch", "error", "unsupported"])
def test_a_match_that_is_none_any_more_is_worse(before, verdict):
    found = difference(before, with_rows(before, "runs", where(OF_CONCAT, verdict=verdict, reason="for a reason")))
    (worse,) = found.worse
    assert (worse.case, worse.implementation, worse.before) == (CASE, "numpy-concat", "match")
    assert worse.after == f"{verdict}: for a reason"


def test_a_mismatch_that_became_an_error_is_worse(before):
    assert difference(before, with_rows(before, "runs", where(OF_SIGN, verdict="error"))).worse


def test_a_mismatch_is_told_with_its_worst_element(before):
    after, before = before, with_rows(before, "runs", where(OF_SIGN, verdict="match"))
    (worse,) = difference(before, after).worse
    assert worse.after.startswith("mismatch: layer0.h0: 10 of 10 elements outside the tolerance; worst at [")


def test_a_mismatch_that_is_gone_is_told_and_not_worse(before):
    found = difference(before, with_rows(before, "runs", where(OF_SIGN, verdict="match")))
    (gone,) = found.verdicts
    assert (gone.before, gone.after, gone.worse) == ("mismatch", "match", False)


def test_a_mismatch_that_its_case_expects_is_not_worse(before):
    after = with_rows(before, "runs", where(OF_CONCAT, verdict="mismatch"))
    after = with_rows(after, "cases", where({"case": CASE}, as_expected=True))
    (found,) = difference(before, after).verdicts
    assert not found.worse


def test_a_baseline_that_fails_is_worse(before):
    baseline = {"case": CASE, "implementation": "numpy-split"}
    (worse,) = difference(before, with_rows(before, "runs", where(baseline, status="error", reason="gone"))).worse
    assert (worse.implementation, worse.after) == ("numpy-split", "error: gone")


OF_TENSOR = {**OF_CONCAT, "tensor": "layer0.W_hh"}


@pytest.mark.parametrize(
    ("then", "now", "worse"),
    [
        (0.05, 0.51, True),
        (0.05, 0.49, False),
        (0.0, 0.07, True),
        (0.0, 0.06, False),
        (0.001, 0.06, False),
        (0.9, 0.1, False),
        (0.05, float("nan"), True),
    ],
)
def test_an_error_that_grew_tenfold_beyond_rounding_is_worse(before, then, now, worse):
    before = with_rows(before, "comparisons", where(OF_TENSOR, error_ratio=then))
    found = difference(before, with_rows(before, "comparisons", where(OF_TENSOR, error_ratio=now)))
    assert [each.tensor for each in found.worse] == (["layer0.W_hh"] if worse else [])


def test_cases_that_are_gone_are_told_and_not_worse(before):
    after = replace(
        before, tables={name: [r for r in rows if r["case"] != CASE] for name, rows in before.tables.items()}
    )
    found = difference(before, after)
    assert [(each.case, each.after, each.worse) for each in found.cases] == [(CASE, "absent", False)]
    assert not found.verdicts


@pytest.mark.parametrize("as_expected", [True, False])
def test_a_new_case_is_worse_if_it_did_not_come_out_as_its_file_says(before, as_expected):
    after = with_rows(
        before, "cases", where({"case": CASE}, as_expected=as_expected, surprise="" if as_expected else "!")
    )
    before = with_rows(before, "cases", lambda row: None if row["case"] == CASE else row)
    (new,) = difference(before, after).cases
    assert new.worse is not as_expected


def without(report, **columns):
    """Return a report that knows nothing of the rows with these columns."""
    kept = {name: [row for row in rows if not columns.items() <= row.items()] for name, rows in report.tables.items()}
    return replace(report, tables=kept)


def test_an_implementation_that_is_gone_is_worse(before):
    (gone,) = difference(before, without(before, implementation="numpy-concat")).worse
    assert (gone.case, gone.implementation, gone.before, gone.after) == ("", "numpy-concat", "in 2 cases", "absent")


def test_an_implementation_that_is_gone_from_a_case_is_worse(before):
    found = difference(before, without(before, **OF_CONCAT))
    (gone,) = found.worse
    assert (gone.case, gone.implementation, gone.before, gone.after) == (CASE, "numpy-concat", "match", "absent")
    assert found.everything == (gone,)


def test_an_implementation_that_represented_nothing_is_no_loss_in_a_case(before):
    (told,) = difference(before, without(before, case=CASE, implementation="representing_nothing")).everything
    assert (told.before, told.after, told.worse) == ("unsupported", "absent", False)


def test_an_implementation_that_is_new_is_told_and_not_worse(before):
    found = difference(without(before, implementation="numpy-concat"), before)
    assert [(each.implementation, each.after) for each in found.everything] == [("numpy-concat", "in 2 cases")]
    assert not found.worse


@pytest.mark.parametrize("with_new", [True, False], ids=["all cases", "cases of both"])
@pytest.mark.parametrize("name", ["sign", "raising"])
def test_an_implementation_that_is_new_and_wrong_is_worse(before, name, with_new):
    found = difference(without(before, implementation=name), before, with_new=with_new)
    assert [(each.implementation, each.before) for each in found.worse] == [(name, "absent")] * 2
    as_documented = with_rows(before, "cases", lambda row: {**row, "as_expected": True})
    assert not difference(without(as_documented, implementation=name), as_documented).worse


WEIGHTS = ("layer0.W_xh", "layer0.W_hh", "layer0.b_h", "layer1.W_xh", "layer1.W_hh", "layer1.b_h")


@pytest.mark.parametrize("how", ["no row", "not provided"])
def test_tensors_that_are_gone_are_worse(before, how):
    def change(row):
        if row["implementation"] != "numpy-concat" or row["tensor"] not in WEIGHTS:
            return row
        return None if how == "no row" else {**row, "verdict": "unsupported", "error_ratio": None, "elements": 0}

    after = with_rows(before, "comparisons", change)
    found = difference(before, after)
    assert [each.tensor for each in found.worse] == [*WEIGHTS, *WEIGHTS]
    assert {(each.before, each.after) for each in found.worse} == {("match", "not compared")}
    back = difference(after, before)
    assert [each.tensor for each in back.tensors] == [*WEIGHTS, *WEIGHTS]
    assert not back.worse


def test_a_tensor_that_is_new_and_wrong_is_worse(before):
    (worse,) = difference(without(before, **OF_SIGN, tensor="layer0.h0"), before).worse
    assert (worse.tensor, worse.before) == ("layer0.h0", "not compared")
    assert worse.after.startswith("mismatch: layer0.h0: 10 of 10 elements")


def test_a_tensor_that_is_wrong_beside_others_that_were_is_worse(before):
    of_tensor = {**OF_SIGN, "tensor": "layer0.b_h"}
    then = with_rows(before, "comparisons", where(of_tensor, verdict="match", error_ratio=0.5))
    now = with_rows(before, "comparisons", where(of_tensor, verdict="mismatch", error_ratio=7.0))
    (worse,) = difference(then, now).worse
    assert (worse.tensor, worse.before) == ("layer0.b_h", "match")
    assert not difference(now, then).worse
    assert difference(now, then).tensors


def test_a_tensor_of_which_less_is_compared_is_worse(before):
    (worse,) = difference(before, with_rows(before, "comparisons", where(OF_TENSOR, elements=3))).worse
    assert (worse.tensor, worse.before, worse.after) == ("layer0.W_hh", "25 elements", "3 elements")


def test_tolerances_that_grew_are_told_and_not_worse(before):
    of_case = {"case": CASE, "tensor": "layer0.W_hh"}
    after = with_rows(before, "tolerances", where(of_case, rtol=1e5, origin="the case's tolerance"))
    found = difference(before, after)
    assert [(each.tensor, each.worse) for each in found.everything] == [("layer0.W_hh", False)]
    assert found.tolerances[0].after.startswith("rtol 1e+05, atol ")
    assert difference(after, before).nothing


def test_a_case_that_no_longer_comes_out_as_its_file_says_is_worse(before):
    of_case = {"case": CASE}
    then = with_rows(before, "cases", where(of_case, as_expected=True, surprise=""))
    now = with_rows(before, "cases", where(of_case, as_expected=False, surprise="expected match, found error"))
    (worse,) = difference(then, now).worse
    assert (worse.case, worse.before, worse.after) == (CASE, "as expected", "expected match, found error")
    assert not difference(now, then).worse


def test_versions_are_told(before):
    def on(harness, **frameworks):
        return replace(before, environment={**before.environment, "harness": harness, "frameworks": frameworks})

    then = on("0.1", numpy={"numpy": "2.0"}, torch={"torch": "2.13"}, certified={"flint": "0.8"})
    now = on("0.2", numpy={"numpy": "2.0"}, torch={"torch": "2.14"}, jax={"jax": "0.10"})
    found = difference(then, now)
    assert {(each.implementation, each.before, each.after) for each in found.versions} == {
        ("harness", "0.1", "0.2"),
        ("torch", "2.13", "2.14"),
        ("flint", "0.8", "absent"),
        ("jax", "absent", "0.10"),
    }
    assert not found.worse
