"""Every kind of mistake in a case file: where it is said to be, what it is said to be, what is offered instead."""

# ruff: noqa: E501 - a table

import time

import numpy as np
import pytest

from harness.case import CaseFile, read

SIZES = "sizes: {batch: 2, time: 3, input: 4, hidden: 5}\n"
LABELS = SIZES + "loss: {kind: softmax_cross_entropy}\n"

MISTAKES = {
    # text, line, column, path, words of the problem, words of the hint
    "unknown_key": (SIZES + "activaton: tanh\n", 2, 1, "activaton", "unknown key", "'activation'"),
    "unknown_key_without_a_nearest": (SIZES + "zzz: 1\n", 2, 1, "zzz", "unknown key", "known here: about, cell"),
    "unknown_size": ("sizes: {batch: 1, time: 2, input: 3, hidden: 4, hiden: 4}\n", 1, 49, "sizes.hiden", "unknown", "'hidden'"),
    "unknown_loss_key": (SIZES + "loss: {kid: dot}\n", 2, 8, "loss.kid", "unknown key", "'kind'"),
    "unknown_spec_key": (SIZES + "inputs: {uniform: [0, 1], sede: 1}\n", 2, 27, "inputs.sede", "unknown key", "'seed'"),
    "unknown_bound": (SIZES + "tolerance: {loss: {rtoll: 1}}\n", 2, 20, "tolerance.loss.rtoll", "unknown key", "'rtol'"),
    "missing_sizes": ("layers: 2\n", 1, 1, "sizes", "missing", "such as sizes:"),
    "missing_size": ("sizes: {batch: 2, time: 3, input: 4}\n", 1, 8, "sizes.hidden", "missing", ""),
    "fraction_for_a_size": ("sizes: {batch: 2, time: 3, input: 4, hidden: 2.5}\n", 1, 46, "sizes.hidden", "whole number", ""),
    "text_for_a_size": ("sizes: {batch: 2, time: 3, input: 4, hidden: '5'}\n", 1, 46, "sizes.hidden", "whole", "without the quotes"),
    "truth_for_a_size": ("sizes: {batch: 2, time: 3, input: 4, hidden: true}\n", 1, 46, "sizes.hidden", "whole number", ""),
    "zero_for_a_size": ("sizes: {batch: 0, time: 3, input: 4, hidden: 5}\n", 1, 16, "sizes.batch", "1 or more", ""),
    "list_for_sizes": ("sizes: [2, 3]\n", 1, 8, "sizes", "a mapping", ""),
    "no_is_no_dtype": (SIZES + "dtype: no\n", 2, 8, "dtype", "'no' should be float32 or float64", ""),
    "misspelt_dtype": (SIZES + "dtype: flaot32\n", 2, 8, "dtype", "float32 or float64", "'float32'"),
    "misspelt_loss": (SIZES + "loss: {kind: squared_eror}\n", 2, 14, "loss.kind", "squared_error", "'squared_error'"),
    "number_for_about": (SIZES + "about: 3\n", 2, 8, "about", "a text", ""),
    "misspelt_spec_word": (SIZES + "inputs: one\n", 2, 9, "inputs", "an array spec", "'ones'"),
    "misspelt_spec": (SIZES + "inputs: {unifrom: [0, 1]}\n", 2, 9, "inputs", "an array spec", "'uniform'"),
    "number_for_a_spec": (SIZES + "inputs: 3\n", 2, 9, "inputs", "3 should be an array spec", ""),
    "one_bound_for_uniform": (SIZES + "inputs: {uniform: [1]}\n", 2, 19, "inputs.uniform", "[low, high]", ""),
    "three_bounds_for_uniform": (SIZES + "inputs: {uniform: [1, 2, 3]}\n", 2, 19, "inputs.uniform", "[low, high]", ""),
    "bounds_the_wrong_way_round": (SIZES + "inputs: {uniform: [1, 0]}\n", 2, 19, "inputs.uniform", "above high", ""),
    "negative_deviation": (SIZES + "inputs: {normal: -1}\n", 2, 18, "inputs.normal", "0 or more", ""),
    "negative_seed": (SIZES + "inputs: {normal: 1, seed: -1}\n", 2, 27, "inputs.seed", "0 or more", ""),
    "nan_for_a_fill": (SIZES + "inputs: {fill: .nan}\n", 2, 16, "inputs.fill", "finite", ""),
    "a_number_beyond_float32": (
        SIZES + "dtype: float32\nweights: {layer0.b_h: {values: [1, 2, 1.0e39, 4, 5]}, default: ones}\n", 3, 32,
        "weights.layer0.b_h.values", "1e+39 is more than float32 holds", "at most 3.4e+38",
    ),
    "a_whole_number_beyond_every_float": (
        SIZES + f"weights: {{layer0.b_h: {{values: [1, 2, -1{'0' * 390}, 4, 5]}}, default: ones}}\n", 2, 32,
        "weights.layer0.b_h.values", "-1e+390 is more than float64 holds", "at most 1.8e+308",
    ),
    "infinite_tolerance": (SIZES + "tolerance: {rtol: .inf}\n", 2, 19, "tolerance.rtol", "finite", ""),
    "unknown_framework": (SIZES + "weights: {from: pytorch}\n", 2, 17, "weights.from", "torch, keras or tf1", "'torch'"),
    "unknown_tensor": (SIZES + "weights: {layer0.W_hx: ones, default: ones}\n", 2, 24, "weights.layer0.W_hx", "no tensor", "'layer0.W_xh'"),
    "unknown_layer": (SIZES + "weights: {layer1.W_hh: ones, default: ones}\n", 2, 24, "weights.layer1.W_hh", "no tensor", "'layer0.W_hh'"),
    "tensor_without_weights": (SIZES + "weights: {layer0.W_xh: ones}\n", 2, 10, "weights", "layer0.W_hh", "default"),
    "unknown_state": (SIZES + "initial_state: {layer0.c0: ones}\n", 2, 28, "initial_state.layer0.c0", "no tensor", "'layer0.h0'"),
    "unknown_tolerance": (SIZES + "tolerance: {output: {rtol: 1}}\n", 2, 21, "tolerance.output", "no tensor", "'outputs'"),
    "empty_tolerance": (SIZES + "tolerance: {}\n", 2, 12, "tolerance", "says nothing", "rtol"),
    "wrong_length": (SIZES + "inputs: {values: [[[1, 2, 3, 4]]]}\n", 2, 18, "inputs.values", "list of 2", ""),
    "wrong_length_inside": (
        SIZES + "weights: {layer0.b_h: {values: [1, 2]}, default: ones}\n", 2, 32, "weights.layer0.b_h.values", "list of 5", "",
    ),
    "too_deep_values": (
        SIZES + "weights: {layer0.b_h: {values: [1, 2, 3, 4, [5]]}, default: ones}\n", 2, 45,
        "weights.layer0.b_h.values[4]", "a number", "",
    ),
    "quoted_value": (
        SIZES + "weights: {layer0.b_h: {values: [1, 2, '3', 4, 5]}, default: ones}\n", 2, 39,
        "weights.layer0.b_h.values[2]", "a number", "without the quotes",
    ),
    "true_for_a_value": (
        SIZES + "weights: {layer0.b_h: {values: [1, 2, true, 4, 5]}, default: ones}\n", 2, 39,
        "weights.layer0.b_h.values[2]", "a number", "",
    ),
    "one_hot_out_of_range": (
        SIZES + "inputs: {one_hot: [[0, 1, 2], [3, 4, 0]]}\n", 2, 35, "inputs.one_hot[1][1]", "from 0 to 3", "",
    ),
    "fraction_for_a_label": (
        LABELS + "targets: {values: [[0, 1.5, 2], [0, 0, 0]]}\n", 3, 24, "targets.values[0][1]", "whole number from 0 to 4", "",
    ),
    "label_out_of_range": (
        LABELS + "targets: {values: [[0, 1, 2], [0, 5, 0]]}\n", 3, 35, "targets.values[1][1]", "from 0 to 4", "",
    ),
    "labels_drawn_out_of_range": (LABELS + "targets: {uniform: [0, 6]}\n", 3, 20, "targets.uniform", "from 0 to 4", "[0, 5]"),
    "normal_labels": (LABELS + "targets: {normal: 1}\n", 3, 19, "targets.normal", "labels", "uniform"),
    "one_hot_labels": (LABELS + "targets: {one_hot: [[0]]}\n", 3, 20, "targets.one_hot", "labels", "values"),
    "step_out_of_range": (SIZES + "loss: {steps: [0, 3]}\n", 2, 19, "loss.steps[1]", "from -3 to 2", ""),
    "step_twice": (SIZES + "loss: {steps: [0, -3]}\n", 2, 19, "loss.steps[1]", "already covered", ""),
    "no_steps": (SIZES + "loss: {steps: []}\n", 2, 15, "loss.steps", "not empty", ""),
    "steps_by_a_word": (SIZES + "loss: {steps: last}\n", 2, 15, "loss.steps", "all or a list", ""),
    "readout_without_width": (SIZES + "readout: linear\n", 1, 8, "sizes.output", "needs its width", "add output"),
    "width_without_readout": (
        "sizes: {batch: 2, time: 3, input: 4, hidden: 5, output: 6}\n", 1, 57, "sizes.output", "no readout", "readout: linear",
    ),
    "dot_without_upstream": (SIZES + "loss: {kind: dot}\n", 1, 1, "upstream", "needs an upstream", "add upstream"),
    "dot_with_targets": (SIZES + "loss: {kind: dot}\nupstream: ones\ntargets: ones\n", 4, 10, "targets", "no targets", "upstream"),
    "upstream_without_dot": (SIZES + "upstream: ones\n", 2, 11, "upstream", "squared_error", "kind: dot"),
    "mismatch_without_reason": (SIZES + "expect: mismatch\n", 2, 9, "expect", "say why", "because"),
    "reason_without_mismatch": (SIZES + "because: of nothing\n", 2, 10, "because", "expects a mismatch", "expect: mismatch"),
    "unknown_implementation": (SIZES + "implementations: [torch, kreas]\n", 2, 26, "implementations[1]", "'kreas'", "'keras'"),
    "misspelt_truncation": (SIZES + "truncation: {kind: windw, steps: 4}\n", 2, 13, "truncation", "{kind: window, steps: 4}", "'window'"),
    "truncation_by_a_word": (SIZES + "truncation: detach\n", 2, 13, "truncation", "{kind: detach, every: 5}", ""),
    "truncation_by_a_number": (SIZES + "truncation: 5\n", 2, 13, "truncation", "5 should be none,", ""),
    "truncation_of_no_kind": (SIZES + "truncation: {every: 4}\n", 2, 13, "truncation", "{kind: detach, every: 5}", ""),
    "truncation_none_with_steps": (SIZES + "truncation: {kind: none, steps: 4}\n", 2, 13, "truncation", "should be none,", ""),
    "detached_never": (SIZES + "truncation: {kind: detach, every: 0}\n", 2, 35, "truncation.every", "1 or more", ""),
    "detached_by_a_text": (SIZES + "truncation: {kind: detach, every: '3'}\n", 2, 35, "truncation.every", "whole number", "without the quotes"),
    "detached_without_a_period": (SIZES + "truncation: {kind: detach}\n", 2, 13, "truncation.every", "missing", "every: 5"),
    "steps_of_a_detached_one": (
        SIZES + "truncation: {kind: detach, every: 5, evry: 5}\n", 2, 38, "truncation.evry", "unknown key", "'every'",
    ),
    "window_of_less_than_a_step": (SIZES + "truncation: {kind: window, steps: -1}\n", 2, 35, "truncation.steps", "0 or more", ""),
    "window_without_steps": (SIZES + "truncation: {kind: window}\n", 2, 13, "truncation.steps", "missing", "steps: 4"),
    "unknown_key_of_a_window": (SIZES + "truncation: {kind: window, steps: 1, zzz: 5}\n", 2, 38, "truncation.zzz", "unknown key", "known here: kind, steps"),
    "sweep_with_a_wrong_truncation": (
        SIZES + "sweep: {truncation: [none, {kind: detach, every: -1}]}\n", 2, 50, "sweep.truncation[1].every", "1 or more", "",
    ),
    "unknown_cell": (SIZES + "cell: lstmm\n", 2, 7, "cell", "'lstmm'", "'lstm'"),
    "activation_of_a_gated_cell": (SIZES + "cell: lstm\nactivation: relu\n", 3, 13, "activation", "an lstm is tanh", "cell: rnn"),
    "reset_of_an_lstm": (SIZES + "cell: lstm\nreset: before\n", 3, 8, "reset", "only a gru", "cell: gru"),
    "reset_of_an_rnn": (SIZES + "reset: after\n", 2, 8, "reset", "this is an rnn", "cell: gru"),
    "unknown_reset": (SIZES + "cell: gru\nreset: afer\n", 3, 8, "reset", "'afer'", "'after'"),
    "cell_state_of_a_gru": (SIZES + "cell: gru\ninitial_state: {layer0.c0: ones}\n", 3, 28, "initial_state.layer0.c0", "no tensor", "'layer0.h0'"),
    "recurrent_bias_of_an_lstm": (SIZES + "cell: lstm\nweights: {layer0.b_hn: ones, default: zeros}\n", 3, 24, "weights.layer0.b_hn", "no tensor", "'layer0.b_h'"),
    "weights_of_a_gru_that_torch_does_not_have": (SIZES + "cell: gru\nreset: before\nweights: {from: torch}\n", 4, 17, "weights.from", "of torch has its reset after", "reset: after"),
    "weights_of_a_gru_that_tf1_does_not_have": (SIZES + "cell: gru\nweights: {from: tf1}\n", 3, 17, "weights.from", "of tf1 has its reset before", "keras"),
    "too_few_lengths": (SIZES + "lengths: [3]\n", 2, 10, "lengths", "a list of 1 should be a list of 2: sizes.batch is 2", "each sequence"),
    "too_many_lengths": (SIZES + "lengths: [3, 2, 1]\n", 2, 10, "lengths", "a list of 3 should be a list of 2", "each sequence"),
    "length_beyond_the_time": (SIZES + "lengths: [3, 4]\n", 2, 14, "lengths[1]", "a length of 4 should be from 1 to 3: sizes.time is 3", ""),
    "length_of_nothing": (SIZES + "lengths: [0, 3]\n", 2, 11, "lengths[0]", "1 or more", ""),
    "no_lengths": (SIZES + "lengths: []\n", 2, 10, "lengths", "not empty", ""),
    "fraction_for_a_length": (SIZES + "lengths: [1.5, 3]\n", 2, 11, "lengths[0]", "a whole number", ""),
    "one_length_for_all": (SIZES + "lengths: 3\n", 2, 10, "lengths", "a list", ""),
    "steps_that_no_sequence_has": (SIZES + "lengths: [1, 2]\nloss: {steps: [-1]}\n", 3, 15, "loss.steps", "the longest has 2 steps", "from sizes.time"),
    "both_directions_by_a_word": (SIZES + "bidirectional: 'yes'\n", 2, 16, "bidirectional", "true or false", ""),
    "truncated_in_both_directions": (
        SIZES + "bidirectional: true\ntruncation: {kind: detach, every: 2}\n", 3, 13, "truncation", "one direction's past is the other's future", "remove it",
    ),
    "windowed_in_both_directions": (
        SIZES + "bidirectional: true\ntruncation: {kind: window, steps: 1}\n", 3, 13, "truncation", "bidirectional layer has no truncated", "remove it",
    ),
    "reverse_of_one_direction": (SIZES + "weights: {layer0.reverse.W_hh: ones, default: ones}\n", 2, 32, "weights.layer0.reverse.W_hh", "no tensor", "'layer0.W_hh'"),
    "backward_of_both_directions": (
        SIZES + "bidirectional: true\nweights: {layer0.revers.W_hh: ones, default: ones}\n", 3, 31, "weights.layer0.revers.W_hh", "no tensor", "'layer0.reverse.W_hh'",
    ),
    "targets_of_one_direction": (
        "sizes: {batch: 1, time: 1, input: 4, hidden: 5}\nbidirectional: true\ntargets: {values: [[[1, 2, 3, 4, 5]]]}\n", 3, 21,
        "targets.values[0][0]", "list of 10", "",
    ),
    "too_much_memory": ("sizes: {batch: 100000, time: 100000, input: 100, hidden: 5}\n", 1, 8, "sizes", "GiB", ""),
    "an_absurd_size": (f"sizes: {{batch: 2, time: 3, input: 4, hidden: {'9' * 50}}}\n", 1, 8, "sizes", "memory", ""),
    "absurdly_many_layers": (SIZES + "layers: 999999999999\n", 1, 8, "sizes", "memory", ""),
    "too_many_layers": (SIZES + "layers: 20000\n", 2, 9, "layers", "10,000", ""),
    "file_that_is_not_there": (SIZES + "inputs: {file: y.npz, key: a}\n", 2, 16, "inputs.file", "does not exist", ""),
    "file_outside": (SIZES + "inputs: {file: ../x.npz, key: a}\n", 2, 16, "inputs.file", "outside", "beside"),
    "absolute_file": (SIZES + "inputs: {file: /etc/x.npz, key: a}\n", 2, 16, "inputs.file", "outside", "beside"),
    "file_of_another_kind": (SIZES + "inputs: {file: x.npy, key: a}\n", 2, 16, "inputs.file", ".npz", "savez"),
    "unknown_sweep_field": (SIZES + "sweep: {sizes.tme: [1]}\n", 2, 9, "sweep.sizes.tme", "unknown key", "'time'"),
    "sweep_that_is_a_list": (SIZES + "sweep: [1]\n", 2, 8, "sweep", "a mapping", "sizes.time"),
    "sweep_over_a_scalar": (SIZES + "sweep: {dtype: float32}\n", 2, 16, "sweep.dtype", "a list", "[float32]"),
    "sweep_over_nothing": (SIZES + "sweep: {dtype: []}\n", 2, 16, "sweep.dtype", "a list", ""),
    "sweep_with_a_wrong_value": (SIZES + "sweep: {dtype: [float32, half]}\n", 2, 26, "sweep.dtype[1]", "'half'", ""),
    "sweep_with_a_value_twice": (SIZES + "sweep: {sizes.time: [1, 2, 1]}\n", 2, 28, "sweep.sizes.time[2]", "already", ""),
    "sweep_into_a_scalar": (SIZES + "activation: relu\nsweep: {activation.x: [1]}\n", 3, 9, "sweep.activation.x", "reached", ""),
    "a_list_at_the_top": ("- 1\n", 1, 1, "", "a mapping of keys", ""),
    "a_text_at_the_top": ("hello\n", 1, 1, "", "a mapping of keys", ""),
}  # fmt: skip


def mistakes_in(folder, text):
    folder = folder / "inside"
    folder.mkdir(exist_ok=True)
    path = folder / "x.yaml"
    path.write_text(text)
    return read(CaseFile(path, folder), ["torch", "keras"])


@pytest.mark.parametrize(("text", "line", "column", "path", "problem", "hint"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_located_and_named(tmp_path, text, line, column, path, problem, hint):
    loaded = mistakes_in(tmp_path, text)
    assert not loaded.cases or "sweep" in text
    (mistake,) = loaded.mistakes
    assert (mistake.line, mistake.column) == (line, column)
    assert str(mistake).partition(f":{line}:{column}: ")[2].startswith(path)
    assert problem in mistake.problem
    assert hint in mistake.hint


def test_all_mistakes_are_found_at_once_in_the_order_of_the_file(tmp_path):
    text = "sizes: {batch: 0, time: 3, input: 4, hiden: 5}\nactivation: tan\ninputs: {unifrom: [0, 1]}\n"
    found = mistakes_in(tmp_path, text).mistakes
    assert [each.line for each in found] == [1, 1, 1, 2, 3]
    assert {each.path for each in found} == {("sizes", name) for name in ("batch", "hiden", "hidden")} | {
        ("activation",),
        ("inputs",),
    }


def test_an_absurd_size_is_refused_at_once(tmp_path):
    start = time.monotonic()
    mistakes_in(tmp_path, SIZES + "layers: 9999999999999999\n")
    mistakes_in(tmp_path, SIZES.replace("5", "9" * 300))
    assert time.monotonic() - start < 5


class Code:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code was run')",))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": np.zeros((2, 3, 5))}, "shape (2, 3, 5)"),
        ({"b": np.zeros((2, 3, 4))}, "has no array 'a'"),
        ({"a": np.full((2, 3, 4), np.nan)}, "not finite"),
        ({"a": np.zeros((2, 3, 4), complex)}, "complex128"),
        ({"a": np.full((2, 3, 4), "x")}, "<U1"),
        ({"a": np.full((2, 3, 4), Code(), object)}, "dtype object"),
        ({"a": np.zeros(2_000_000)}, "unpacks to 16,000,128 bytes"),
    ],
    ids=["shape", "key", "nan", "complex", "text", "pickled", "far_too_large"],
)
def test_an_array_that_does_not_fit_is_refused(tmp_path, arrays, words):
    (tmp_path / "inside").mkdir()
    np.savez_compressed(tmp_path / "inside" / "x.npz", **arrays)
    (mistake,) = mistakes_in(tmp_path, SIZES + "inputs: {file: x.npz, key: a}\n").mistakes
    assert words in mistake.problem


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"], ids=["empty", "torn", "npy"])
def test_a_file_that_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "x.npz").write_bytes(content)
    (mistake,) = mistakes_in(tmp_path, SIZES + "inputs: {file: x.npz, key: a}\n").mistakes
    assert mistake.path[0] == "inputs"


def test_a_link_that_leads_out_is_refused(tmp_path):
    (tmp_path / "inside").mkdir()
    np.savez(tmp_path / "x.npz", a=np.zeros((2, 3, 4)))
    (tmp_path / "inside" / "x.npz").symlink_to(tmp_path / "x.npz")
    (mistake,) = mistakes_in(tmp_path, SIZES + "inputs: {file: x.npz, key: a}\n").mistakes
    assert "outside" in mistake.problem
