"""When two disagree, the report says whom the oracle agrees with."""

import json


def reasons(harness, *arguments):
    done = harness("run", *arguments)
    return done, done.stdout


def test_the_oracle_agrees_with_a_right_baseline(harness, workplace):
    done, text = reasons(harness, "--impl", "sign,complex-step")
    assert done.returncode == 1
    assert "complex-step agrees with numpy-split" in text
    assert "complex-step agrees with numpy-split" in (workplace / "reports/latest/summary.md").read_text().replace(
        "\\", ""
    )


def test_the_oracle_agrees_with_whoever_is_right_when_the_baseline_is_wrong(harness):
    done, text = reasons(harness, "--impl", "numpy-concat,complex-step", "--baseline", "sign")
    assert done.returncode == 1
    assert "complex-step agrees with numpy-concat" in text
    assert "complex-step is the oracle: sign is wrong" in text


def test_the_oracle_agrees_with_neither_of_two_wrong_ones(harness):
    _, text = reasons(harness, "--impl", "all_zero,complex-step", "--baseline", "wrong_outputs")
    assert "complex-step agrees with neither" in text


def test_without_the_oracle_nobody_is_said_to_be_right(harness):
    _, text = reasons(harness, "--impl", "sign")
    assert "complex-step" not in text


def test_what_would_take_too_long_is_said(harness, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text().replace("hidden: 5", "hidden: 300"))
    done = harness("run", "--impl", "complex-step,numpy-concat", "--json")
    found = {each["implementation"]: each for each in json.loads(done.stdout)["results"]}
    assert found["complex-step"]["verdict"] == "unsupported"
    assert "multiplications" in found["complex-step"]["reason"]
    assert found["numpy-concat"]["verdict"] == "match"
