"""A case that takes its weights from a checkpoint: what it gets, and what contradicts it, with its place."""

# ruff: noqa: E501 - tables

import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.case import CaseFile, read
from harness.problem import build
from tests.checkpoint.files import FILES, HERE, LAYERS, NUMBERS

SIZES = "sizes: {batch: 2, time: 4, input: 3, hidden: 2}\n"
NETWORK = SIZES + "cell: lstm\nlayers: 2\nbidirectional: true\n"
WEIGHTS = "weights: {checkpoint: lstm.npz}\n"


@pytest.fixture
def folder(tmp_path):
    """A folder for a case file, within another; the checkpoints lie in the first."""
    inside = tmp_path / "inside"
    shutil.copytree(HERE, inside, ignore=shutil.ignore_patterns("__pycache__"))
    return inside


def loaded(folder, text):
    (folder / "x.yaml").write_text(text)
    return read(CaseFile(folder / "x.yaml", folder))


def weights_of(file):
    layer = f', layer: "{LAYERS[file.name]}"' if file.name in LAYERS else ""
    return f"weights: {{checkpoint: {file.name}{layer}}}\n"


def mistake(folder, text):
    found = loaded(folder, text)
    assert not found.cases
    (only,) = found.mistakes
    return only


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_problem_has_the_weights_of_its_checkpoint(folder, file, dtype):
    (case,) = loaded(folder, NETWORK + f"dtype: {dtype}\n{weights_of(file)}").cases
    problem = build(case, None)
    numbers = np.load(NUMBERS)
    assert list(problem.weights) == list(problem.structure.weights)
    for name, array in problem.weights.items():
        assert array.dtype == dtype
        rounds = file.suffix == ".index" and dtype == "float32"
        np.testing.assert_allclose(
            array, numbers[name], rtol=0, atol=2**-24 if rounds or file.suffix == ".index" else 0
        )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_layout_may_be_said_and_must_be_right(folder, file):
    right = {".npz": "split", ".index": "tf1", ".keras": "keras", ".h5": "keras"}.get(file.suffix, "torch")
    text = NETWORK + weights_of(file).replace("}", ", layout: %s}")
    assert loaded(folder, text % right).cases
    wrong = mistake(folder, text % ("torch" if right != "torch" else "keras"))
    assert "has no recurrent layer in the layout" in wrong.problem


CONTRADICTIONS = {
    # text, line, column, path, words of the problem, hint
    "cell": (NETWORK.replace("lstm", "gru"), 2, 7, "cell", "gru contradicts lstm.npz, which has lstm", "use lstm"),
    "layers": (NETWORK.replace("2\nbi", "3\nbi"), 3, 9, "layers", "3 contradicts lstm.npz, which has 2", "use 2"),
    "bidirectional": (NETWORK.replace("true", "false"), 4, 16, "bidirectional", "false contradicts lstm.npz, which has true", "use true"),
    "input": (NETWORK.replace("input: 3", "input: 5"), 1, 35, "sizes.input", "5 contradicts lstm.npz, which has 3", "use 3"),
    "hidden": (NETWORK.replace("hidden: 2", "hidden: 7"), 1, 46, "sizes.hidden", "7 contradicts lstm.npz, which has 2", "use 2"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "column", "path", "problem", "hint"), CONTRADICTIONS.values(), ids=CONTRADICTIONS
)
def test_what_contradicts_a_checkpoint_is_located(folder, text, line, column, path, problem, hint):
    wrong = mistake(folder, text + WEIGHTS)
    assert (wrong.line, wrong.column, str(wrong).partition(f":{line}:{column}: ")[2]) == (
        line,
        column,
        f"{path}: {problem}; {hint}",
    )


def test_every_contradiction_is_told_at_once(folder):
    found = loaded(folder, SIZES.replace("input: 3", "input: 5") + WEIGHTS)
    assert {each.path for each in found.mistakes} == {("cell",), ("layers",), ("bidirectional",), ("sizes", "input")}


MISTAKES = {
    # weights, path, words of the problem, words of the hint
    "misspelt_file": ("{checkpoint: lstn.npz}", "checkpoint", "lstn.npz does not exist", "'lstm.npz'"),
    "outside": ("{checkpoint: ../lstm.npz}", "checkpoint", "lstm.npz is outside the case file's folder", "beside"),
    "absolute": (f"{{checkpoint: {NUMBERS}}}", "checkpoint", "is outside the case file's folder", "beside"),
    "of_no_format": ("{checkpoint: x.yaml}", "checkpoint", "x.yaml is no known checkpoint", "should end in"),
    "misspelt_key": ("{checkpoint: lstm.npz, layr: a}", "layr", "unknown key", "'layer'"),
    "misspelt_layout": ("{checkpoint: lstm.npz, layout: kears}", "layout", "'kears' should be split, torch, keras or tf1", "'keras'"),
    "no_such_layer": ("{checkpoint: lstm.npz, layer: rnn}", "layer", "no recurrent layer 'rnn'", ". (lstm, 3 to 2)"),
    "number": ("{checkpoint: 3}", "checkpoint", "3 should be a text", ""),
    "with_a_nul": ('{checkpoint: "a\\0.npz"}', "checkpoint", "the character \\x00 is not allowed", "remove it"),
    "endless": (f"{{checkpoint: {'x' * 300}.npz}}", "checkpoint", "304 letters", ""),
}  # fmt: skip


@pytest.mark.parametrize(("weights", "path", "problem", "hint"), MISTAKES.values(), ids=MISTAKES)
def test_a_wrong_checkpoint_is_located_and_named(folder, weights, path, problem, hint):
    wrong = mistake(folder, NETWORK + f"weights: {weights}\n")
    assert (wrong.line, wrong.path) == (5, ("weights", path))
    assert problem in wrong.problem
    assert hint in wrong.hint


@pytest.mark.parametrize("name", ["lstm.npz", "lstm.data-00000-of-00001"])
def test_a_link_that_leads_out_is_refused(folder, name):
    (folder / name).rename(folder.parent / name)
    (folder / name).symlink_to(folder.parent / name)
    text = NETWORK + (WEIGHTS if name == "lstm.npz" else "weights: {checkpoint: lstm.index}\n")
    assert f"{name} is outside the case file's folder" in mistake(folder, text).problem


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "1 NaN"), (np.inf, "1 infinite")], ids=["nan", "infinite"])
@pytest.mark.parametrize("tensor", ["layer1.W_hh", "readout.W_hy"])
def test_weights_that_are_not_finite_are_said_to_be_that(folder, value, kind, tensor):
    arrays = {**np.load(NUMBERS), "readout.W_hy": np.ones((4, 5)), "readout.b_y": np.ones(5)}
    arrays[tensor][1, 2] = value
    np.savez(folder / "lstm.npz", **arrays)
    network = NETWORK.replace("hidden: 2", "hidden: 2, output: 5") + "readout: linear\n"
    wrong = mistake(folder, network + WEIGHTS)
    assert wrong.path == ("weights", "checkpoint")
    size = arrays[tensor].size
    assert (
        f"lstm.npz has weights that are not finite: {tensor} has {kind} of {size}, the first at [1, 2]" in wrong.problem
    )


def test_numbers_that_the_dtype_has_not_are_refused(folder):
    arrays = dict(np.load(NUMBERS))
    arrays["layer1.W_hh"] = np.full((2, 8), 1e300)
    np.savez(folder / "lstm.npz", **arrays)
    wrong = mistake(folder, NETWORK + "dtype: float32\n" + WEIGHTS)
    assert wrong.path == ("weights", "checkpoint")
    assert "has numbers in layer1.W_hh that no float32 holds" in wrong.problem


def test_the_readout_comes_from_the_checkpoint_too(folder):
    random = np.random.default_rng(0)
    readout = {"readout.W_hy": random.normal(size=(4, 5)), "readout.b_y": random.normal(size=5)}
    np.savez(folder / "lstm.npz", **np.load(NUMBERS), **readout)
    text = NETWORK.replace("hidden: 2", "hidden: 2, output: %d") + "readout: linear\n" + WEIGHTS
    (case,) = loaded(folder, text % 5).cases
    weights = build(case, None).weights
    assert {name: weights[name].tolist() for name in readout} == {name: each.tolist() for name, each in readout.items()}
    wrong = mistake(folder, text % 6)
    assert (wrong.path, wrong.problem) == (
        ("weights", "readout"),
        "lstm.npz has 0 linear layers from 4 to 6 with a bias, for the readout",
    )


def test_the_activation_that_a_keras_file_names_is_held(folder):
    """lstm.keras says tanh of its lstms; an rnn's file says its own."""
    from harness.checkpoint import find

    layers = find(Path(HERE / "lstm.keras"))
    assert (layers.framework, layers.cell.said, layers.cell.activation) == ("keras", True, "tanh")
    assert [each.names for each in layers.said] == [("bidirectional",), ("bidirectional_1",)]
    assert [each.reads for each in layers.said] == ["", "bidirectional"]


def test_what_stands_beside_the_layers_is_a_mistake_until_it_is_ignored(folder):
    np.savez(folder / "lstm.npz", **np.load(NUMBERS), **{"layer0.p_i": np.ones(2), "layer1.p_i": np.ones(2)})
    wrong = mistake(folder, NETWORK + WEIGHTS)
    assert wrong.path == ("weights", "ignore")
    assert (
        "lstm.npz has tensors beside its layer that a plain lstm does not have: layer0.p_i, layer1.p_i" in wrong.problem
    )
    assert wrong.hint.endswith("accept each name: ignore: [layer0.p_i, layer1.p_i]")
    accepted = NETWORK + "weights: {checkpoint: lstm.npz, ignore: [layer0.p_i, layer1.p_i]}\n"
    (case,) = loaded(folder, accepted).cases
    assert build(case, None).weights.keys() == np.load(NUMBERS).keys()
    misspelt = mistake(folder, accepted.replace("[layer0.p_i", "[layer0.p_j"))
    assert (misspelt.path, misspelt.hint) == (("weights", "ignore"), "did you mean 'layer0.p_i'?")
    assert "[layer0.p_i]" in mistake(folder, accepted.replace("layer0.p_i, ", "")).hint


@pytest.mark.parametrize("bias", [0.0, 1.0, 2.5])
def test_a_forget_bias_that_is_stated_is_added_in_the_place_of_1(folder, bias):
    text = f"{NETWORK}dtype: float32\nweights: {{checkpoint: lstm.index, forget_bias: {bias}}}\n"
    (case,) = loaded(folder, text).cases
    usual = loaded(folder, text.replace(f", forget_bias: {bias}", "")).cases[0]
    with_it, without = (build(each, None).weights for each in (case, usual))
    for name, array in with_it.items():
        more = np.zeros(array.shape[-1])
        if name.endswith("b_h"):
            more[2:4] = bias - 1
        np.testing.assert_allclose(array, without[name] + more, rtol=0, atol=2**-22, err_msg=name)


def test_a_forget_bias_of_a_framework_that_adds_none_is_a_mistake(folder):
    wrong = mistake(folder, NETWORK + "weights: {checkpoint: lstm.pt, forget_bias: 1.0}\n")
    assert wrong.path == ("weights", "forget_bias")
    assert wrong.problem == "1 does not fit lstm.pt: TensorFlow 1's lstm alone adds one at run time"


def test_a_gru_without_biases_has_the_reset_that_its_case_says(folder):
    np.savez(folder / "gru.npz", **{"layer0.W_xh": np.ones((3, 6)), "layer0.W_hh": np.ones((2, 6))})
    for reset in ("before", "after"):
        text = f"{SIZES}cell: gru\nreset: {reset}\nweights: {{checkpoint: gru.npz}}\n"
        (case,) = loaded(folder, text).cases
        assert ("layer0.b_hn" in build(case, None).weights) == (reset == "after")


def test_a_config_that_contradicts_a_case_is_located(folder):
    """lstm.keras made an rnn of relu by its config alone; the case says tanh."""
    wrong = mistake(folder, NETWORK.replace("lstm", "rnn") + "weights: {checkpoint: lstm.keras}\n")
    assert (wrong.path, wrong.problem) == (("cell",), "rnn contradicts lstm.keras, which has lstm")


def test_a_file_that_does_not_exist_is_not_suggested_as_itself(folder):
    (folder / "lstm.data-00000-of-00001").unlink()
    wrong = mistake(folder, NETWORK + "weights: {checkpoint: lstm.index}\n")
    assert "did you mean 'lstm.index'" not in str(wrong)


def test_a_sweep_is_located_where_it_wrote_the_value(folder):
    found = loaded(folder, NETWORK + WEIGHTS + "sweep: {sizes.hidden: [2, 9]}\n")
    assert len(found.cases) == 1
    (wrong,) = found.mistakes
    assert (wrong.line, wrong.column) == (6, 27)
    assert "9 contradicts lstm.npz" in wrong.problem
