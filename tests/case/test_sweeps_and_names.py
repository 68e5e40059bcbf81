"""Sweeps, the names of cases, and finding them."""

import json
from pathlib import Path

import pytest

from harness.case import ValidCase, find, load, read, root_of
from harness.case.json_schema import json_schema

SIZES = "sizes: {batch: 2, time: 3, input: 4, hidden: 5}\n"
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cases" / "basic").mkdir(parents=True)
    return tmp_path


def write(folder, name, text):
    (folder / "cases" / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "cases" / name).write_text(text)


def names(*asked):
    loaded = load(asked)
    assert loaded.mistakes == []
    return [case.name for case in loaded.cases]


def test_a_sweep_is_a_product_named_by_its_values(folder):
    write(folder, "s.yaml", SIZES + "sweep: {dtype: [float32, float64], sizes.time: [1, 2]}\n")
    assert names() == [
        "s[dtype=float32,sizes.time=1]",
        "s[dtype=float32,sizes.time=2]",
        "s[dtype=float64,sizes.time=1]",
        "s[dtype=float64,sizes.time=2]",
    ]
    assert [(case.dtype, case.sizes.time) for case in load([]).cases][2] == ("float64", 1)
    assert load([]).cases[0].sizes.hidden == 5


def test_a_sweep_over_mappings_lists_and_numbers_as_they_are_written(folder):
    text = "sweep: {weights: [{from: torch, seed: 1}], loss.steps: [all, [0, -1]], tolerance.rtol: [1e-5]}\n"
    write(folder, "s.yaml", SIZES + text)
    assert names() == [
        "s[weights={from:torch,seed:1},loss.steps=all,tolerance.rtol=1e-5]",
        "s[weights={from:torch,seed:1},loss.steps=[0,-1],tolerance.rtol=1e-5]",
    ]
    assert load([]).cases[1].steps == (0, 2)


def test_a_sweep_reaches_one_tensor(folder):
    write(folder, "s.yaml", SIZES + "weights: {default: ones}\nsweep: {weights.layer0.W_hh: [zeros, {fill: 2}]}\n")
    assert [case.weights["layer0.W_hh"] for case in load([]).cases] == ["zeros", {"fill": 2.0}]


def test_a_sweep_over_truncations_and_into_one(folder):
    write(folder, "s.yaml", SIZES + "sweep: {truncation: [none, {kind: detach, every: 2}, {kind: window, steps: 0}]}\n")
    assert names() == [f"s[truncation={each}]" for each in ("none", "{kind:detach,every:2}", "{kind:window,steps:0}")]
    assert [case.truncation for case in load([]).cases][1:] == [
        {"kind": "detach", "every": 2},
        {"kind": "window", "steps": 0},
    ]
    write(folder, "s.yaml", SIZES + "truncation: {kind: window, steps: 1}\nsweep: {truncation.steps: [0, 4]}\n")
    assert names() == ["s[truncation.steps=0]", "s[truncation.steps=4]"]


def test_a_name_has_no_line_break(folder):
    write(folder, "s.yaml", SIZES + 'sweep: {about: ["a\\nb", "c\\td"]}\n')
    assert names() == ["s[about=a b]", "s[about=c d]"]
    assert names("s[about=a b]") == ["s[about=a b]"]
    assert load([]).cases[0].about == "a\nb"


def test_a_long_value_stands_shortened_in_a_name(folder):
    values = [[[1.0] * 400 + [last] * 100] for last in (2.0, 3.0)]
    sizes = "sizes: {batch: 1, time: 1, input: 500, hidden: 5}\n"
    inputs = ", ".join(f"{{values: {[each]}}}" for each in values)
    write(folder, "s.yaml", sizes + f"sweep: {{inputs: [{inputs}]}}\n")
    found = names()
    assert len(set(found)) == 2
    assert all(len(name) < 1100 for name in found)
    assert names(found[1]) == [found[1]]


def test_too_many_cases_are_refused_before_they_are_made(folder):
    numbers = list(range(1, 401))
    write(folder, "s.yaml", SIZES + f"sweep: {{sizes.time: {numbers}, layers: {numbers}}}\n")
    (mistake,) = load([]).mistakes
    assert "160,000 cases" in mistake.problem


def test_more_cases_than_python_writes_digits_of_are_refused(folder):
    fields = ", ".join(f"sizes.extra{number}: [1, 2]" for number in range(20_000))
    write(folder, "s.yaml", SIZES + f"sweep: {{{fields}}}\n")
    assert "makes more than 1,000,000,000,000,000,000 cases" in load([]).mistakes[0].problem


def test_one_combination_is_chosen_by_its_brackets(folder):
    write(folder, "s.yaml", SIZES + "sweep: {sizes.time: [1, 2]}\n")
    assert names("s[sizes.time=2]") == ["s[sizes.time=2]"]
    assert names("cases/s.yaml[sizes.time=1]") == ["s[sizes.time=1]"]
    (mistake,) = load(["s[sizes.time=3]"]).mistakes
    assert "no combination [sizes.time=3]" in mistake.problem
    assert "[sizes.time=2]" in mistake.hint


def test_some_values_choose_all_combinations_that_have_them_in_any_order(folder):
    write(folder, "s.yaml", SIZES + "sweep: {sizes.time: [1, 2], dtype: [float32, float64]}\n")
    both = ["s[sizes.time=2,dtype=float32]", "s[sizes.time=2,dtype=float64]"]
    assert names("s[sizes.time=2]") == both
    assert names("s[dtype=float64,sizes.time=2]") == both[1:]
    for wrong in ("s[sizes.time=2,dtype=float16]", "s[sizes.time=1,sizes.time=2]", "s[]"):
        assert not load([wrong]).cases
        assert load([wrong]).mistakes


@pytest.mark.parametrize("name", ["tanh", "base/tanh", "cases/tanh.yml", "cases/basic/tahn.yaml"])
def test_a_missing_case_has_a_nearest_name(folder, name):
    write(folder, "basic/tanh.yaml", SIZES)
    (mistake,) = load([name]).mistakes
    assert mistake.hint == "did you mean 'basic/tanh'?"


def test_a_python_file_is_no_case(folder):
    write(folder, "../my_rnn.py", "import harness\n")
    (mistake,) = load(["my_rnn.py"]).mistakes
    assert (
        str(mistake) == "my_rnn.py: is a Python file, but a case file ends in .yaml; harness check my_rnn.py checks it"
    )


def test_names_count_from_the_folder_called_cases(folder):
    write(folder, "basic/a.yaml", SIZES)
    expected = ["basic/a"]
    for asked in ([], ["cases"], ["cases/basic"], ["cases/basic/a.yaml"], ["basic/a"]):
        assert names(*asked) == expected
    assert names(str(folder / "cases" / "basic" / "a.yaml")) == expected
    (folder / "else").mkdir()
    (folder / "else" / "b.yaml").write_text(SIZES)
    assert names("else") == names("else/b.yaml") == ["b"]


def test_a_case_that_is_named_twice_is_loaded_once(folder):
    write(folder, "a.yaml", SIZES)
    assert names("a", "cases/a.yaml", "cases") == ["a"]


def test_two_files_of_one_name_are_a_mistake(folder):
    for place in ("one", "two"):
        (folder / place).mkdir()
        (folder / place / "a.yaml").write_text(SIZES)
    loaded = load(["one", "two"])
    assert [case.name for case in loaded.cases] == ["a"]
    assert "would be the case a" in loaded.mistakes[0].problem


def test_good_cases_are_loaded_beside_bad_ones(folder):
    write(folder, "a.yaml", SIZES)
    write(folder, "b.yaml", "sizes: 3\n")
    write(folder, "c.yaml", SIZES)
    loaded = load([])
    assert [case.name for case in loaded.cases] == ["a", "c"]
    assert [mistake.file for mistake in loaded.mistakes] == ["cases/b.yaml"]


def test_a_mistake_in_every_combination_is_told_once(folder):
    write(folder, "a.yaml", "sizes: {batch: 2, input: 4, hidden: 0}\nsweep: {sizes.time: [1, 2, 3]}\n")
    assert len(load([]).mistakes) == 1


def test_what_is_not_there_has_a_nearest(folder):
    write(folder, "basic/tanh.yaml", SIZES)
    (mistake,) = load(["basic/tahn"]).mistakes
    assert mistake.hint == "did you mean 'basic/tanh'?"


def test_without_a_folder_of_cases_there_is_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load([]).cases == load([]).mistakes == []


@pytest.mark.parametrize("file", find(ROOT / "cases"), ids=lambda file: file.name)
def test_every_case_of_the_repository_is_valid_and_says_why_it_is_here(file):
    loaded = read(file)
    assert loaded.mistakes == []
    for case in loaded.cases:
        assert len(case.about) > 30
        again = ValidCase.from_plain(json.loads(json.dumps(case.to_plain())))
        assert json.dumps(again.to_plain()) == json.dumps(case.to_plain())
        assert (again.sizes, again.loss, again.implementations) == (case.sizes, case.loss, case.implementations)
        assert (again.lengths, again.structure) == (case.lengths, case.structure)


def test_the_root_is_written_as_the_user_wrote_it(folder):
    assert root_of(Path("cases/basic")) == Path("cases")
    assert root_of(folder / "cases" / "basic") == folder / "cases"


def test_every_field_is_described_in_the_schema():
    schema = json_schema()
    for definition in schema["$defs"].values():
        for name, field in definition["properties"].items():
            described = field.get("description") or schema["$defs"].get(field.get("$ref", "")[8:], {}).get(
                "description"
            )
            assert described or name in ("from", "seed"), name
    for kind in ("Network", "Recurrence"):
        assert "sweep" in schema["$defs"][kind]["properties"]
