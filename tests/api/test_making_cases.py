"""A case from arguments is the case of a file with the same fields, with the same mistakes."""

import numpy as np
import pytest
import yaml

import harness

FIELDS = {
    "about": "Small.",
    "cell": "gru",
    "sizes": {"batch": 2, "time": 3, "input": 4, "hidden": 5},
    "weights": {"normal": 0.5, "seed": 1},
    "inputs": {"normal": 1.0, "seed": 2},
    "loss": {"kind": "squared_error", "steps": [-1]},
    "targets": {"uniform": [-0.9, 0.9], "seed": 3},
    "initial_state": "zeros",
}


def written(tmp_path, fields):
    file = tmp_path / "made.yaml"
    file.write_text(yaml.safe_dump(fields))
    return file


def test_a_case_from_arguments_has_the_problem_of_a_file(tmp_path):
    made, loaded = harness.make_case(name="made", **FIELDS), harness.load_case(written(tmp_path, FIELDS))
    assert made.to_plain() == {**loaded.to_plain(), "file": "made"}
    for name, array in made.problem().arrays.items():
        assert np.array_equal(array, loaded.problem().arrays[name]), name


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "gruu"},
        {"sizes": {"batch": 2, "time": 3, "input": 4, "hiden": 5}},
        {"sizes": {"batch": 0, "time": "3", "input": 4, "hidden": 5}, "dtype": "float16"},
        {"activaton": "relu"},
        {"loss": {"kind": "squared_error", "steps": [3]}},
        {"targets": {"values": [[1.0]]}},
        {"implementations": ["numpy-splitt"]},
        {"cell": "mlstm"},
    ],
    ids=lambda change: "-".join(change),
)
def test_mistakes_are_those_of_a_file_at_the_name_of_the_argument(tmp_path, change):
    fields = {**FIELDS, **change}
    with pytest.raises(harness.MistakesFound) as of_file:
        harness.load_case(written(tmp_path, fields))
    with pytest.raises(harness.MistakesFound) as of_arguments:
        harness.make_case(**fields)
    found, expected = (
        {(each.path, each.problem, each.hint) for each in one.value.mistakes} for one in (of_arguments, of_file)
    )
    assert found == expected
    assert found
    for line in str(of_arguments.value).splitlines():
        assert line.startswith("harness.make_case: ")


def test_arrays_stand_for_their_values():
    x = np.arange(24.0).reshape(2, 3, 4)
    case = harness.make_case(**{**FIELDS, "inputs": x, "sizes": {**FIELDS["sizes"], "hidden": np.int64(5)}})
    assert np.array_equal(case.problem().inputs, x)
    weights = {"layer0.W_hh": np.eye(5, 15), "default": "zeros"}
    assert np.array_equal(
        harness.make_case(**{**FIELDS, "weights": weights}).problem().weights["layer0.W_hh"], np.eye(5, 15)
    )
    with pytest.raises(harness.MistakesFound, match="should be a list of 3: inputs needs"):
        harness.make_case(**{**FIELDS, "inputs": x[:, :2]})


def test_all_mistakes_are_reported_also_beside_a_value_of_no_case_file():
    with pytest.raises(harness.MistakesFound) as found:
        harness.make_case(cell="gru", weights=object(), sweep={"dtype": ["float32"]}, name="a\nb")
    paths = {each.path: each.problem for each in found.value.mistakes}
    assert "cannot stand in a case file" in paths["weights",]
    assert "several cases" in paths["sweep",]
    assert "line break" in paths["name",]
    assert "missing" in paths["sizes",]
    assert len(paths) == 4
    with pytest.raises(harness.MistakesFound, match=r"name: 3 should be a text"):
        harness.make_case(**FIELDS, name=3)


def test_a_case_has_the_name_of_its_cell_or_its_own():
    assert harness.make_case(**FIELDS).name == "gru"
    assert harness.make_case(**FIELDS, name="mine").name == "mine"


def test_a_recurrence_is_a_cell():
    case = harness.make_case(cell="peephole_lstm", sizes={"batch": 2, "time": 3, "H": 4})
    assert case.problem().weights["U"].shape == (4, 16)


def test_published_values_have_the_digits_of_their_numbers():
    published = {"source": "A book.", "gradients": [{"tensor": "layer0.b_h", "at": [0], "values": 0.25}]}
    assert harness.make_case(**FIELDS, published=published).half_units == [0.005]


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_each_wrong_gradient_shows_in_a_case_of_sizes_alone(cell):
    case = harness.make_case(cell=cell, sizes={"batch": 2, "time": 3, "input": 4, "hidden": 5})
    right = harness.run("numpy-split", case.problem()).gradients
    for name in right:
        wrong = {**right, name: 2 * right[name]}
        assert not harness.check_implementation(lambda _, wrong=wrong: wrong, case).passed, name
