"""``harness fuzz`` finds what is wrong in a corner, and shrinks it to a case that shows it again."""

import json

import pytest
import yaml

from harness import cli

pytestmark = pytest.mark.framework


def found_by(harness, *arguments):
    done = harness("fuzz", "--seed", "1", "--json", *arguments)
    return done, json.loads(done.stdout)


CORNERS = {
    "wrong_in_a_corner": ("mismatch", {"layers": 2, "activation": "relu"}),
    "wrong_with_lengths": ("mismatch", {"lengths": [1]}),
    "crashing_in_a_corner": ("error", {"layers": 3}),
}


def test_what_is_wrong_in_a_corner_is_found_shrunk_and_found_again(harness, workplace):
    done, found = found_by(harness, "--cases", "200", "--impl", ",".join(CORNERS))
    assert done.returncode == 1, done.stderr
    assert {each["implementation"] for each in found["found"]} == CORNERS.keys()
    for each in found["found"]:
        verdict, fields = CORNERS[each["implementation"]]
        text = (workplace / each["file"]).read_text()
        data = yaml.safe_load(text)
        assert each["verdict"] == verdict
        assert data.pop("about") == f"Found by harness fuzz --seed 1, {each['implementation']}: {verdict}."
        assert data == {**fields, "sizes": {"batch": 1, "time": 1, "input": 1, "hidden": 1}, "weights": "zeros"}
        assert f"# Found by `harness fuzz --seed 1`, in case {each['case']}," in text
        assert each["what"] in text
    again = harness("run", "cases/found", "--impl", ",".join(CORNERS), "--json", "--tensors", "none")
    assert again.returncode == 3  # one of them crashes
    verdicts = {(each["case"].rpartition("/")[2], each["implementation"]): each["verdict"] for each in
                json.loads(again.stdout)["results"]}  # fmt: skip
    for each in found["found"]:
        name = each["file"].rpartition("/")[2].removesuffix(".yaml")
        assert verdicts[name, each["implementation"]] == each["verdict"]


def test_where_nothing_is_wrong_nothing_is_found(harness, workplace):
    done, found = found_by(harness, "--cases", "60", "--impl", "numpy-concat,complex-step", "--cell", "gru")
    assert done.returncode == 0, done.stderr
    assert (found["cases"], found["found"]) == (60, [])
    assert found["compared"] == {"numpy-concat": 60, "complex-step": 3}
    assert not (workplace / "cases" / "found").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--impl", "trch"], "did you mean 'torch'?"),
        (["--impl", "numpy-split"], "numpy-split is the baseline; name another"),
        (["--cases", "0"], "0 is not in the range"),
        (["--cell", "gur"], "gur"),
        (["--seed", "x"], "not a valid integer"),
    ],
    ids=["unknown", "baseline_alone", "no_cases", "no_cell", "no_seed"],
)
def test_bad_usage(capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        cli.main(["fuzz", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_without_hypothesis_it_says_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setattr("harness.cli.options.find_spec", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        cli.main(["fuzz"])
    assert ended.value.code == 4
    assert "pip install 'bptt-harness[fuzz]'" in capsys.readouterr().err
