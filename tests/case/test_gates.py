"""The gates of a tensor: the blocks in its last axis."""

import pytest

import harness
from harness.case.gates import gates_of
from harness.recurrences import recurrences


@pytest.mark.parametrize(
    ("cell", "names"),
    [("rnn", ()), ("gru", ("r", "z", "n")), ("lstm", ("i", "f", "g", "o"))],
    ids=["rnn", "gru", "lstm"],
)
def test_weights_of_a_network_have_the_gates_of_its_cell(cell, names, tmp_path):
    file = tmp_path / "one.yaml"
    file.write_text(f"cell: {cell}\nsizes: {{batch: 2, time: 3, input: 4, hidden: 5, output: 2}}\nreadout: linear\n")
    case = harness.load_case(file)
    for tensor in ("layer0.W_xh", "layer0.W_hh", "layer0.b_h", "trained.layer0.W_hh"):
        assert gates_of(case, tensor) == tuple(names)
    for tensor in ("layer0.h0", "layer0.b_hn", "readout.W_hy", "inputs", "outputs", "loss", "training.loss"):
        assert gates_of(case, tensor) == ()


def test_weights_of_a_recurrence_have_as_many_blocks_as_they_declare():
    case = recurrences()["peephole_lstm"].problem().case
    assert gates_of(case, "W") == gates_of(case, "b") == ("1", "2", "3", "4")
    for tensor in ("p_i", "h0", "inputs.x", "outputs"):
        assert gates_of(case, tensor) == ()
