"""Every kind of mistake in a case file: where it is said to be, what it is said to be, what is offered instead."""

# ruff: noqa: E501 - a table

import time

import numpy as np
import pytest

from harness.case import CaseFile, read
from tests.conftest import same_everywhere

SIZES = "sizes: {batch: 2, time: 3, input: 4, hidden: 5}\n"
LABELS = SIZES + "loss: {kind: softmax_cross_entropy}\n"

MISTAKES = {
    "unknown_key": SIZES + "activaton: tanh\n",
    "unknown_key_without_a_nearest": SIZES + "zzz: 1\n",
    "unknown_size": "sizes: {batch: 1, time: 2, input: 3, hidden: 4, hiden: 4}\n",
    "unknown_loss_key": SIZES + "loss: {kid: dot}\n",
    "unknown_spec_key": SIZES + "inputs: {uniform: [0, 1], sede: 1}\n",
    "unknown_bound": SIZES + "tolerance: {loss: {rtoll: 1}}\n",
    "missing_sizes": "layers: 2\n",
    "missing_size": "sizes: {batch: 2, time: 3, input: 4}\n",
    "fraction_for_a_size": "sizes: {batch: 2, time: 3, input: 4, hidden: 2.5}\n",
    "text_for_a_size": "sizes: {batch: 2, time: 3, input: 4, hidden: '5'}\n",
    "truth_for_a_size": "sizes: {batch: 2, time: 3, input: 4, hidden: true}\n",
    "zero_for_a_size": "sizes: {batch: 0, time: 3, input: 4, hidden: 5}\n",
    "list_for_sizes": "sizes: [2, 3]\n",
    "no_is_no_dtype": SIZES + "dtype: no\n",
    "misspelt_dtype": SIZES + "dtype: flaot32\n",
    "misspelt_loss": SIZES + "loss: {kind: squared_eror}\n",
    "number_for_about": SIZES + "about: 3\n",
    "misspelt_spec_word": SIZES + "inputs: one\n",
    "misspelt_spec": SIZES + "inputs: {unifrom: [0, 1]}\n",
    "number_for_a_spec": SIZES + "inputs: 3\n",
    "one_bound_for_uniform": SIZES + "inputs: {uniform: [1]}\n",
    "three_bounds_for_uniform": SIZES + "inputs: {uniform: [1, 2, 3]}\n",
    "bounds_the_wrong_way_round": SIZES + "inputs: {uniform: [1, 0]}\n",
    "negative_deviation": SIZES + "inputs: {normal: -1}\n",
    "negative_seed": SIZES + "inputs: {normal: 1, seed: -1}\n",
    "nan_for_a_fill": SIZES + "inputs: {fill: .nan}\n",
    "a_number_beyond_float32": SIZES
    + "dtype: float32\nweights: {layer0.b_h: {values: [1, 2, 1.0e39, 4, 5]}, default: ones}\n",
    "a_whole_number_beyond_every_float": SIZES
    + f"weights: {{layer0.b_h: {{values: [1, 2, -1{'0' * 390}, 4, 5]}}, default: ones}}\n",
    "infinite_tolerance": SIZES + "tolerance: {rtol: .inf}\n",
    "unknown_framework": SIZES + "weights: {from: pytorch}\n",
    "unknown_tensor": SIZES + "weights: {layer0.W_hx: ones, default: ones}\n",
    "unknown_layer": SIZES + "weights: {layer1.W_hh: ones, default: ones}\n",
    "tensor_without_weights": SIZES + "weights: {layer0.W_xh: ones}\n",
    "unknown_state": SIZES + "initial_state: {layer0.c0: ones}\n",
    "unknown_tolerance": SIZES + "tolerance: {output: {rtol: 1}}\n",
    "empty_tolerance": SIZES + "tolerance: {}\n",
    "wrong_length": SIZES + "inputs: {values: [[[1, 2, 3, 4]]]}\n",
    "wrong_length_inside": SIZES + "weights: {layer0.b_h: {values: [1, 2]}, default: ones}\n",
    "too_deep_values": SIZES + "weights: {layer0.b_h: {values: [1, 2, 3, 4, [5]]}, default: ones}\n",
    "quoted_value": SIZES + "weights: {layer0.b_h: {values: [1, 2, '3', 4, 5]}, default: ones}\n",
    "true_for_a_value": SIZES + "weights: {layer0.b_h: {values: [1, 2, true, 4, 5]}, default: ones}\n",
    "one_hot_out_of_range": SIZES + "inputs: {one_hot: [[0, 1, 2], [3, 4, 0]]}\n",
    "fraction_for_a_label": LABELS + "targets: {values: [[0, 1.5, 2], [0, 0, 0]]}\n",
    "label_out_of_range": LABELS + "targets: {values: [[0, 1, 2], [0, 5, 0]]}\n",
    "labels_drawn_out_of_range": LABELS + "targets: {uniform: [0, 6]}\n",
    "normal_labels": LABELS + "targets: {normal: 1}\n",
    "one_hot_labels": LABELS + "targets: {one_hot: [[0]]}\n",
    "step_out_of_range": SIZES + "loss: {steps: [0, 3]}\n",
    "step_twice": SIZES + "loss: {steps: [0, -3]}\n",
    "no_steps": SIZES + "loss: {steps: []}\n",
    "steps_by_a_word": SIZES + "loss: {steps: last}\n",
    "readout_without_width": SIZES + "readout: linear\n",
    "width_without_readout": "sizes: {batch: 2, time: 3, input: 4, hidden: 5, output: 6}\n",
    "dot_without_upstream": SIZES + "loss: {kind: dot}\n",
    "dot_with_targets": SIZES + "loss: {kind: dot}\nupstream: ones\ntargets: ones\n",
    "upstream_without_dot": SIZES + "upstream: ones\n",
    "mismatch_without_reason": SIZES + "expect: mismatch\n",
    "reason_without_mismatch": SIZES + "because: of nothing\n",
    "unknown_implementation": SIZES + "implementations: [torch, kreas]\n",
    "misspelt_truncation": SIZES + "truncation: {kind: windw, steps: 4}\n",
    "truncation_by_a_word": SIZES + "truncation: detach\n",
    "truncation_by_a_number": SIZES + "truncation: 5\n",
    "truncation_of_no_kind": SIZES + "truncation: {every: 4}\n",
    "truncation_none_with_steps": SIZES + "truncation: {kind: none, steps: 4}\n",
    "detached_never": SIZES + "truncation: {kind: detach, every: 0}\n",
    "detached_by_a_text": SIZES + "truncation: {kind: detach, every: '3'}\n",
    "detached_without_a_period": SIZES + "truncation: {kind: detach}\n",
    "steps_of_a_detached_one": SIZES + "truncation: {kind: detach, every: 5, evry: 5}\n",
    "window_of_less_than_a_step": SIZES + "truncation: {kind: window, steps: -1}\n",
    "window_without_steps": SIZES + "truncation: {kind: window}\n",
    "unknown_key_of_a_window": SIZES + "truncation: {kind: window, steps: 1, zzz: 5}\n",
    "sweep_with_a_wrong_truncation": SIZES + "sweep: {truncation: [none, {kind: detach, every: -1}]}\n",
    "unknown_cell": SIZES + "cell: lstmm\n",
    "activation_of_a_gated_cell": SIZES + "cell: lstm\nactivation: relu\n",
    "reset_of_an_lstm": SIZES + "cell: lstm\nreset: before\n",
    "reset_of_an_rnn": SIZES + "reset: after\n",
    "unknown_reset": SIZES + "cell: gru\nreset: afer\n",
    "cell_state_of_a_gru": SIZES + "cell: gru\ninitial_state: {layer0.c0: ones}\n",
    "recurrent_bias_of_an_lstm": SIZES + "cell: lstm\nweights: {layer0.b_hn: ones, default: zeros}\n",
    "weights_of_a_gru_that_torch_does_not_have": SIZES + "cell: gru\nreset: before\nweights: {from: torch}\n",
    "weights_of_a_gru_that_tf1_does_not_have": SIZES + "cell: gru\nweights: {from: tf1}\n",
    "too_few_lengths": SIZES + "lengths: [3]\n",
    "too_many_lengths": SIZES + "lengths: [3, 2, 1]\n",
    "length_beyond_the_time": SIZES + "lengths: [3, 4]\n",
    "length_of_nothing": SIZES + "lengths: [0, 3]\n",
    "no_lengths": SIZES + "lengths: []\n",
    "fraction_for_a_length": SIZES + "lengths: [1.5, 3]\n",
    "one_length_for_all": SIZES + "lengths: 3\n",
    "steps_that_no_sequence_has": SIZES + "lengths: [1, 2]\nloss: {steps: [-1]}\n",
    "both_directions_by_a_word": SIZES + "bidirectional: 'yes'\n",
    "truncated_in_both_directions": SIZES + "bidirectional: true\ntruncation: {kind: detach, every: 2}\n",
    "windowed_in_both_directions": SIZES + "bidirectional: true\ntruncation: {kind: window, steps: 1}\n",
    "reverse_of_one_direction": SIZES + "weights: {layer0.reverse.W_hh: ones, default: ones}\n",
    "backward_of_both_directions": SIZES + "bidirectional: true\nweights: {layer0.revers.W_hh: ones, default: ones}\n",
    "targets_of_one_direction": "sizes: {batch: 1, time: 1, input: 4, hidden: 5}\nbidirectional: true\ntargets: {values: [[[1, 2, 3, 4, 5]]]}\n",
    "too_much_memory": "sizes: {batch: 100000, time: 100000, input: 100, hidden: 5}\n",
    "an_absurd_size": f"sizes: {{batch: 2, time: 3, input: 4, hidden: {'9' * 50}}}\n",
    "absurdly_many_layers": SIZES + "layers: 999999999999\n",
    "too_many_layers": SIZES + "layers: 20000\n",
    "file_that_is_not_there": SIZES + "inputs: {file: y.npz, key: a}\n",
    "file_outside": SIZES + "inputs: {file: ../x.npz, key: a}\n",
    "absolute_file": SIZES + "inputs: {file: /etc/x.npz, key: a}\n",
    "file_of_another_kind": SIZES + "inputs: {file: x.npy, key: a}\n",
    "unknown_sweep_field": SIZES + "sweep: {sizes.tme: [1]}\n",
    "sweep_that_is_a_list": SIZES + "sweep: [1]\n",
    "sweep_over_a_scalar": SIZES + "sweep: {dtype: float32}\n",
    "sweep_over_nothing": SIZES + "sweep: {dtype: []}\n",
    "sweep_with_a_wrong_value": SIZES + "sweep: {dtype: [float32, half]}\n",
    "sweep_with_a_value_twice": SIZES + "sweep: {sizes.time: [1, 2, 1]}\n",
    "sweep_into_a_scalar": SIZES + "activation: relu\nsweep: {activation.x: [1]}\n",
    "a_list_at_the_top": "- 1\n",
    "a_text_at_the_top": "hello\n",
}


def mistakes_in(folder, text):
    folder = folder / "inside"
    folder.mkdir(exist_ok=True)
    path = folder / "x.yaml"
    path.write_text(text)
    return read(CaseFile(path, folder), ["torch", "keras"])


def test_each_mistake_is_located_and_named_and_what_would_be_right_is_offered(tmp_path, snapshot):
    said = {}
    for name, text in MISTAKES.items():
        loaded = mistakes_in(tmp_path, text)
        assert not loaded.cases or "sweep" in text, name
        (mistake,) = loaded.mistakes
        said[name] = same_everywhere(str(mistake), tmp_path / "inside")
        assert f"x.yaml:{mistake.line}:{mistake.column}: " in said[name], name
    assert said == snapshot


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
