"""Whole models of Keras 3 and of Keras 2: their own layers are the original of a port, and what their configs say is
taken or refused. A port of weights alone would prove that two other networks agree."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import run
from harness.checkpoint import CheckpointRefused, find
from harness.execution.session.running import not_kept
from harness.port import planned, port, porting
from harness.port.proof import compared
from harness.port.sides import File
from harness.problem import build
from tests.port.keras_models import CALLED_TWICE, KERAS_2_ALONE, REFUSED, REPRESENTABLE, SEVERAL, SLICED, inputs

pytestmark = [pytest.mark.framework, pytest.mark.full]  # two frameworks save some fifty models first

ROOT = Path(__file__).parents[2]
FRAMEWORKS = ("keras", "tf_keras")
ENDINGS = (".keras", ".h5")
NAMED = {**REPRESENTABLE, "nested": (None, "encoder/lstm")}
ACCEPTED = [
    (framework, name) for framework in FRAMEWORKS for name in {**NAMED, **(KERAS_2_ALONE if "_" in framework else {})}
]


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """The models of both frameworks, each made by its own, by the framework's name."""
    folders = {}
    for framework in FRAMEWORKS:
        folders[framework] = tmp_path_factory.mktemp(framework)
        program = [sys.executable, "-W", "ignore", "-m", "tests.port.keras_models", framework, folders[framework]]
        variables = {**os.environ, "TF_USE_LEGACY_KERAS": str(int(framework != "keras")), "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(
            list(map(str, program)), cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
    return folders


def ported(porters, source, folder, **options):
    """Port to NumPy; return the outcome of the proof, and the problem with the weights that were written."""
    plan = planned(source, "npz", folder / "out.npz", **options)
    done = port(plan, porters, not_kept)
    (outcome,) = done.run.outcomes
    verdicts = {each.implementation: each.verdict for each in outcome.judged}
    assert verdicts == {"original": None, "ported": "match", "numpy-split": "match"}, outcome.judged
    problem = build(plan.case, None)
    return plan, outcome, replace(problem, weights=dict(np.load(folder / "out.npz")))


@pytest.mark.spread(1)
@pytest.mark.parametrize(("framework", "name"), ACCEPTED, ids=[f"{framework}-{name}" for framework, name in ACCEPTED])
def test_a_model_that_the_harness_has_is_ported_and_its_own_layers_agree(saved, tmp_path, porters, framework, name):
    """As the framework itself predicts with the whole model, so does NumPy with what was written."""
    path = {**NAMED, **KERAS_2_ALONE}[name][1]
    ending = ENDINGS[ACCEPTED.index((framework, name)) % 2]
    source = saved[framework] / f"{name}{ending}"
    plan, outcome, problem = ported(porters, source, tmp_path)
    assert plan.layers.path == path
    assert (plan.layers.framework, plan.layers.cell.said) == (framework, True)
    assert plan.original.name == framework
    expected_tensors = ["loss", "outputs", *problem.structure.gradients]
    assert sorted(outcome.tensors) == sorted(expected_tensors), "every gradient, of biases that are not there, too"
    zero = {name: np.zeros_like(each) for name, each in problem.initial_state.items()}
    on_inputs = replace(problem, inputs=inputs().astype(plan.case.dtype), initial_state=zero)
    outputs = run("numpy-split", on_inputs).outputs
    expected = np.load(saved[framework] / "outputs.npz")[name]
    np.testing.assert_allclose(outputs if expected.ndim == 3 else outputs[:, -1], expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", CALLED_TWICE)
def test_a_layer_that_its_model_calls_twice_is_refused(saved, framework, name, ending):
    with pytest.raises(CheckpointRefused, match=f"has {CALLED_TWICE[name][1]}, which its model calls 2 times"):
        find(saved[framework] / f"{name}{ending}")


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", [*REFUSED, "stateful"])
def test_a_model_that_the_harness_has_not_is_refused_with_the_field(saved, tmp_path, framework, name, ending):
    words = REFUSED[name][1] if name in REFUSED else "lstm with stateful True"
    if name == "half_precision" and framework == "tf_keras":
        words = "with dtype"
    source = saved[framework] / f"{name}{ending}"
    with pytest.raises(CheckpointRefused, match=words):
        planned(source, "npz", tmp_path / "out.npz")


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("ending", [*ENDINGS, ".weights.h5"])
@pytest.mark.parametrize("name", SEVERAL)
def test_layers_that_are_no_stack_are_offered_by_their_names(saved, framework, name, ending):
    source, names = saved[framework] / f"{name}{ending}", SEVERAL[name][1]
    with pytest.raises(CheckpointRefused, match=f"has {len(names)} recurrent layers without a known order") as refused:
        find(source)
    assert refused.value.about == "layer"
    offered = re.findall(r"([\w/]+) \((?:lstm|gru),", refused.value.hint)
    if ending != ".weights.h5":  # which has no names of layers
        assert offered == names
    for each in offered:
        assert (found := find(source, layer=each)).layers == 1
        assert found.path == each


@pytest.mark.parametrize("name", SLICED)
def test_an_operation_that_keras_3_cannot_load_is_named(saved, name):
    words = (
        r"has 'GetItem' \('get_item\w*'\) among its layers, an operation by its config; .* a port has recurrent layers"
    )
    with pytest.raises(CheckpointRefused, match=words) as refused:
        find(saved["keras"] / f"{name}.h5", layer=SLICED[name][1][0])
    assert "Keras' own" not in str(refused.value)


@pytest.mark.parametrize(("framework", "ending"), [("keras", ".keras"), ("tf_keras", ".keras"), ("tf_keras", ".h5")])
@pytest.mark.parametrize("name", SLICED)
def test_an_operation_of_a_model_is_no_part_of_a_port_and_named(saved, tmp_path, porters, framework, ending, name):
    source, names = saved[framework] / f"{name}{ending}", SLICED[name][1]
    operation = {"keras": "GetItem", "tf_keras": "__operators__.getitem"}[framework]
    plan, _, _ = ported(porters, source, tmp_path, layer=names[0])
    (remark,) = [each for each in plan.layers.remarks if operation in each]
    assert remark.endswith("which are no part of the port")
    if len(names) > 1:
        with pytest.raises(CheckpointRefused, match=rf"without a known order; .*{operation}"):
            find(source)
        with pytest.raises(CheckpointRefused, match=r"says in its config that high reads \S*get_?item"):
            find(source, layer="low,high")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_layers_that_a_config_does_not_put_on_each_other_are_not_by_asking(saved, framework):
    with pytest.raises(CheckpointRefused, match=r"says in its config that high reads dense(_1)?, and not low"):
        find(saved[framework] / "dense_between.keras", layer="low,high")
    with pytest.raises(CheckpointRefused, match="does not say in its config that decoder reads encoder alone"):
        find(saved[framework] / "state_handed_on.h5", layer="encoder,decoder")


def test_a_layer_is_found_by_the_folder_of_its_tensors_too(saved):
    assert find(saved["keras"] / "parallel.keras", layer="layers/lstm_1").path == "right"


@pytest.mark.parametrize(("framework", "ending"), [("keras", ".h5"), ("tf_keras", ".keras")])
def test_a_model_under_another_name_is_loaded_by_its_content(saved, tmp_path, porters, framework, ending):
    source = tmp_path / "model.ckpt"
    source.write_bytes((saved[framework] / f"gru_before{ending}").read_bytes())
    ported(porters, source, tmp_path)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_original_is_the_models_own_layer_and_not_what_the_harness_read(
    saved, tmp_path, porters, monkeypatch, framework
):
    """The same weights in a file whose config says relu, unknown to the plan: the original follows its file."""
    plan = planned(saved[framework] / "lstm.h5", "npz", tmp_path / "out.npz")
    files_of = porting.files_of

    def others(*arguments):
        found = files_of(*arguments)
        return {**found, "original": replace(found["original"], path=saved[framework] / "lstm_relu.h5")}

    monkeypatch.setattr(porting, "files_of", others)
    done = port(plan, porters, not_kept)
    assert done.files == ()
    assert not (tmp_path / "out.npz").exists()
    (outcome,) = done.run.outcomes
    assert {each.implementation: each.verdict for each in outcome.judged[1:]} == {
        "ported": "mismatch",
        "numpy-split": "mismatch",
    }


def test_a_port_whose_numbers_are_wrong_is_held_against_the_model(saved, tmp_path, porters, monkeypatch):
    converted = porting._converted

    def wrong(plan, weights):
        found = converted(plan, weights)
        return {**found, "layer0.W_hh": found["layer0.W_hh"] * np.float32(1.001)}

    monkeypatch.setattr(porting, "_converted", wrong)
    monkeypatch.setattr(porting, "_check_bits", lambda *_: None)
    done = port(planned(saved["tf_keras"] / "lstm.keras", "npz", tmp_path / "out.npz"), porters, not_kept)
    assert done.files == ()
    (outcome,) = done.run.outcomes
    judged = {each.implementation: each for each in outcome.judged}
    assert (judged["ported"].verdict, judged["numpy-split"].verdict) == ("mismatch", "match")


def test_the_weights_of_the_problem_show_nowhere(saved, porters):
    source = saved["keras"] / "both_ways_stacked.keras"
    plan = planned(source, "npz", source.with_name("none.npz"))
    problem = build(plan.case, None)
    zero = {name: np.zeros_like(array) for name, array in problem.weights.items()}
    with porters.about({"original": File.of(source, plan.layers, ours=False)}):
        found = porters.run(compared(plan)[0], replace(problem, weights=zero)).result
    expected = run("numpy-split", problem)
    np.testing.assert_allclose(found.outputs, expected.outputs, rtol=0, atol=1e-6)


def test_what_acts_in_training_alone_is_told(saved):
    told = list(find(saved["keras"] / "lstm_with_dropout.keras").remarks)
    assert "lstm has dropout 0.25, which acts in training alone; the port has none" in told
    assert "lstm has recurrent_dropout 0.5, which acts in training alone; the port has none" in told
    told = list(find(saved["tf_keras"] / "stacked_with_dropout_between.h5").remarks)
    (remark,) = [each for each in told if each.startswith("high reads low through dropout")]
    assert remark.endswith("(Dropout), which acts in training alone; the port has none")
    assert not any("through" in each for each in find(saved["keras"] / "both_ways_stacked.keras").remarks)
    (remark,) = [each for each in find(saved["tf_keras"] / "time_major.h5").remarks if "time_major" in each]
    assert remark == "gru has time_major True: its inputs are (T, B, I), and those of the port (B, T, I)"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("lstm", {"activation": "relu"}, "--activation relu does not fit: the harness has tanh alone in an lstm"),
        ("lstm", {"cell": "gru"}, "--cell gru does not fit: its config says lstm"),
        ("rnn_relu", {"activation": "tanh"}, "--activation tanh does not fit: its config says relu"),
        ("gru_before", {"reset": "after"}, "--reset after does not fit: its config says before"),
        ("gru_after_without_bias", {"reset": "before"}, "--reset before does not fit: its config says after"),
    ],
    ids=["activation", "cell", "rnn_activation", "reset", "reset_without_bias"],
)
def test_what_is_stated_against_a_config_is_refused(saved, tmp_path, name, options, words):
    with pytest.raises(CheckpointRefused, match=words):
        planned(saved["keras"] / f"{name}.keras", "npz", tmp_path / "out.npz", **options)
