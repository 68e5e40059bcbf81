"""Which tensors each cell has, and their shapes."""

import pytest

from harness.case import Sizes, ValidCase, load
from harness.tensors import Structure

CELLS = {
    "rnn": ({}, {"W_xh": (4, 5), "W_hh": (5, 5), "b_h": (5,)}, ("h0",)),
    "lstm": ({}, {"W_xh": (4, 20), "W_hh": (5, 20), "b_h": (20,)}, ("h0", "c0")),
    "gru": ({}, {"W_xh": (4, 15), "W_hh": (5, 15), "b_h": (15,), "b_hn": (5,)}, ("h0",)),
    "gru, before": ({"reset": "before"}, {"W_xh": (4, 15), "W_hh": (5, 15), "b_h": (15,)}, ("h0",)),
}


@pytest.mark.parametrize("name", CELLS)
def test_tensors_of_a_cell(name):
    fields, weights, states = CELLS[name]
    case = ValidCase(name="", file="", cell=name.partition(",")[0], layers=2, sizes=Sizes(2, 3, 4, 5), **fields)
    above = {**weights, "W_xh": (5, weights["W_xh"][1])}
    expected = {
        f"layer{n}.{each}": shape for n, of_layer in enumerate((weights, above)) for each, shape in of_layer.items()
    }
    assert case.structure.weights == expected
    assert case.structure.initial_state == {f"layer{n}.{state}": (2, 5) for n in range(2) for state in states}
    assert list(case.structure.gradients) == [*expected, *case.structure.initial_state, "inputs"]


def test_a_gru_that_does_not_say_resets_after_the_product(tmp_path):
    path = tmp_path / "gru.yaml"
    path.write_text(
        "sizes: {batch: 2, time: 3, input: 4, hidden: 5}\nsweep: {cell: [rnn, lstm, gru]}\n", encoding="utf-8"
    )
    rnn, lstm, gru = load([path]).cases
    assert (rnn.reset, lstm.reset, gru.reset) == (None, None, "after")
    assert ValidCase.from_plain(gru.to_plain()) == gru
    assert gru.structure == Structure("gru", 1, 2, 3, 4, 5, None, "after")


def test_memory_counts_the_gates():
    from harness.case.checks import memory_needed

    sizes = Sizes(2, 3, 4, 500)
    rnn, lstm = (memory_needed(ValidCase(name="", file="", cell=cell, sizes=sizes)) for cell in ("rnn", "lstm"))
    assert 3.9 < lstm / rnn < 4.1
