"""``harness show`` and ``harness diff``."""

import json

import pytest


@pytest.fixture
def reports(harness):
    """Two reports: ``good``, and ``bad`` in which an implementation is off."""
    assert harness("run", "--impl", "numpy-concat", "--out", "good").returncode == 0
    assert harness("run", "--impl", "numpy-concat,sign", "--out", "bad").returncode == 1


def test_show_says_what_run_said(harness):
    ran = harness("run", "--impl", "numpy-concat,sign")
    shown = harness("show")
    assert (shown.returncode, shown.stdout) == (0, ran.stdout)


@pytest.mark.usefixtures("reports")
def test_show_has_every_tensor_of_a_case(harness):
    of_case = harness("show", "bad", "--case", "small").stdout
    for tensor in ("loss", "outputs", "inputs", "layer0.W_xh", "layer1.h0"):
        assert tensor in of_case
    assert "sign, layer0.h0: 10 of 10 elements outside the tolerance" in of_case
    assert "next: harness run 'small'" in of_case


@pytest.mark.usefixtures("reports")
def test_show_as_json_holds_the_tables(harness):
    found = json.loads(harness("show", "bad", "--json", "--case", "small").stdout)
    assert {row["implementation"] for row in found["runs"]} == {"numpy-split", "numpy-concat", "sign"}
    assert found["environment"]["baseline"] == "numpy-split"


@pytest.mark.usefixtures("reports")
def test_diff_fails_when_something_got_worse(harness, workplace):
    assert harness("diff", "good", "good").stdout == "Passed: nothing changed.\n"
    same = harness("diff", "bad", "bad")
    assert (same.returncode, same.stdout) == (0, "Passed: nothing changed.\n"), "what was wrong before is not worse"
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "tolerance: {rtol: 0, atol: 1e10}\n")
    assert harness("run", "--impl", "numpy-concat,sign", "--out", "blind").returncode == 0
    worse = harness("diff", "blind", "bad")
    assert worse.returncode == 1
    assert "mismatch: layer0.h0" in worse.stdout
    assert worse.stdout.endswith("Failed: 1 change for the worse.\n")
    better = harness("diff", "bad", "blind", "--json")
    assert better.returncode == 0
    assert json.loads(better.stdout)["verdicts"][0]["after"].startswith("match: ")


@pytest.mark.usefixtures("reports")
def test_diff_fails_where_an_implementation_is_gone_or_is_new_and_wrong(harness):
    gone = harness("diff", "bad", "good")
    assert gone.returncode == 1
    assert "sign" in gone.stdout
    assert "absent" in gone.stdout
    new = harness("diff", "good", "bad", "--ignore-new")
    assert new.returncode == 1
    assert "mismatch: layer0.h0" in new.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "nowhere"], "nowhere does not exist; `harness run --out nowhere` writes a report there"),
        (["show"], "does not exist"),
        (["diff", "cases", "cases"], "cases is no report"),
        (["diff", "cases"], "Missing argument 'REPORT_B'"),
    ],
    ids=["nowhere", "none_yet", "another_folder", "one_report"],
)
def test_what_is_no_report_is_bad_usage(harness, arguments, said):
    refused = harness(*arguments)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.usefixtures("reports")
def test_the_nearest_case_is_suggested(harness):
    refused = harness("show", "good", "--case", "smal")
    assert refused.returncode == 2
    assert "good has no case 'smal'; did you mean 'small'?" in refused.stderr


def test_diff_can_leave_out_cases_that_only_the_second_has(harness, workplace):
    harness("run", "--impl", "numpy-concat", "--out", "one")
    (workplace / "cases" / "other.yaml").write_text((workplace / "cases" / "small.yaml").read_text())
    harness("run", "--impl", "numpy-concat", "--out", "two")
    assert "absent" in harness("diff", "one", "two").stdout
    assert harness("diff", "one", "two", "--ignore-new").stdout == "Passed: nothing changed.\n"
    assert "other" in harness("diff", "two", "one", "--ignore-new").stdout, "what is gone is told"
