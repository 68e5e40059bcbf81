"""Cases of recurrences: which fields they have, what they are made of, and mistakes that are placed."""

from pathlib import Path

import numpy as np
import pytest

from harness.case import ValidCase, load
from harness.case.fields import Fields, RecurrenceFields
from harness.case.loading import find
from harness.case.recurrent import in_words
from harness.case.validation import refuse_invalid
from harness.diagnosis.sight import blind_spots_of_case
from harness.problem import build
from harness.recurrences import DeclarationError, recurrence, recurrences

ROOT = Path(__file__).parents[2]
LSTM = "cell: peephole_lstm\n"
NETWORK = "sizes: {batch: 1, time: 1, input: 1, hidden: 1}\n"

MISTAKES = {
    "field_of_networks": (LSTM + "inputs: ones\n", 2, 1, "for networks of rnn, lstm or gru, and peephole", "remove"),
    "field_of_networks_with_a_value_that_is_none": (LSTM + "training: 5\n", 2, 1, "is for networks", "remove it"),
    "unknown_key": (LSTM + "drow: {seed: 1}\n", 2, 1, "unknown key", "'draw'"),
    "unknown_key_of_the_draw": (LSTM + "draw: {sed: 1}\n", 2, 8, "unknown key", "'seed'"),
    "unknown_upstream": (LSTM + "draw: {upstream: outputs}\n", 2, 18, "'outputs' should be all", "'outputs alone'"),
    "no_scale": (LSTM + "draw: {scale: 0}\n", 2, 15, "above 0", ""),
    "negative_seed": (LSTM + "draw: {seed: -1}\n", 2, 14, "0 or more", ""),
    "absent_array_that_is_needed": (LSTM + "draw: {absent: [b]}\n", 2, 17, "'b' is no optional array", "leave it out"),
    "undeclared_letter": (LSTM + "sizes: {h: 5}\n", 2, 12, "has no size 'h'", "use H"),
    "undeclared_word": (LSTM + "sizes: {tyme: 5}\n", 2, 15, "has no size 'tyme'", "'time'"),
    "letter_of_the_batch": (LSTM + "sizes: {B: 5}\n", 2, 12, "has no size 'B'", "use batch"),
    "size_of_nothing": (LSTM + "sizes: {H: 0}\n", 2, 12, "1 or more", ""),
    "size_that_is_a_text": (LSTM + 'sizes: {H: "5"}\n', 2, 12, "a whole number", "without the quotes"),
    "too_large": (LSTM + "sizes: {H: 4000000000}\n", 2, 8, "of memory", ""),
    "too_long": (LSTM + "sizes: {batch: 1, time: 1000001, I: 1, H: 1}\n", 2, 25, "1,000,000", ""),
    "tolerance_of_no_tensor": (LSTM + "tolerance: {p_u: {rtol: 1}}\n", 2, 18, "no tensor", "'p_"),
    "mismatch_without_a_reason": (LSTM + "expect: mismatch\n", 2, 9, "must say why", "because"),
    "nearly_a_recurrence": ("cell: pephole_lstm\n", 1, 7, "the name of a recurrence", "'peephole_lstm'"),
    "no_cell": (NETWORK + "cell: zzz\n", 2, 7, "the name of a recurrence", "harness list recurrences"),
    "no_cell_with_sizes_of_its_own": ("cell: zzz\nsizes: {K: 3}\n", 1, 7, "the name of a recurrence", "FILE.py"),
    "in_a_sweep": (LSTM + "sweep: {sizes.H: [1, 0]}\n", 2, 22, "1 or more", ""),
}  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def read(text):
        (tmp_path / "case.yaml").write_text(text)
        return load([str(tmp_path / "case.yaml")], ["derived"])

    return read


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_placed_and_says_what_is_meant(read, name):
    text, line, column, problem, hint = MISTAKES[name]
    loaded = read(text)
    assert not loaded
    (mistake,) = loaded.mistakes
    assert (mistake.line, mistake.column) == (line, column)
    assert problem in mistake.problem
    assert hint in mistake.hint


def test_every_mistake_is_found_at_once(read):
    mistakes = read("cell: pephole_lstm\ninputs: ones\nsizes: {Q: 1}\nimplementations: [derivd]\n").mistakes
    assert [each.path[0] for each in mistakes] == ["cell", "inputs", "sizes"]
    (mistake,) = read(LSTM + "implementations: [derivd]\n").mistakes
    assert "'derived'" in mistake.hint


def test_every_field_of_networks_alone_is_refused_as_that(read):
    alone = {each for each in Fields.__dataclass_fields__ if each not in RecurrenceFields.__dataclass_fields__}
    assert {"activation", "reset", "inputs", "initial_state", "training", "published", "weights"} <= alone
    for name in alone:
        (mistake,) = read(f"{LSTM}{name}: 1\n").mistakes
        assert "is for networks" in mistake.problem, name


def test_letters_that_are_left_out_have_sizes_that_differ(read):
    (case,) = read(LSTM + "about: One.\nsizes: {H: 6}\n").cases
    declared = recurrences()["peephole_lstm"]
    assert case.recurrence["sizes"] == declared.sizes(H=6)
    assert (case.name, case.about, case.sizes.batch, case.sizes.time) == ("case", "One.", 3, 7)
    assert blind_spots_of_case(case) == []


def test_a_case_makes_the_problem_that_python_makes(read):
    (case,) = read(LSTM + "sizes: {batch: 2, time: 4, I: 3, H: 5}\ndtype: float32\ndraw: {seed: 9}\n").cases
    made = build(case, None)
    expected = recurrences()["peephole_lstm"].problem(seed=9, dtype="float32", B=2, T=4, I=3, H=5)
    assert made.spelled.keys() == expected.spelled.keys()
    for name, array in expected.spelled.items():
        assert array.dtype == np.float32
        assert np.array_equal(made.spelled[name], array), name


def test_the_draw_is_obeyed(read):
    text = LSTM + "draw: {state: zeros, upstream: last states alone}\n"
    problem = build(read(text).cases[0], None)
    assert not problem.initial_state["h"].any()
    assert not problem.upstream.any()
    assert problem.upstream_state["c"].any()
    louder, plain = (build(read(LSTM + each).cases[0], None) for each in ("draw: {scale: 10}\n", ""))
    assert np.allclose(louder.inputs["x"], 10 * plain.inputs["x"])


def test_sweeps_combine(read):
    cases = read(LSTM + "sweep: {dtype: [float32, float64], sizes.time: [1, 7], draw.seed: [0, 1]}\n").cases
    assert len(cases) == 8
    assert cases[1].name == "case[dtype=float32,sizes.time=1,draw.seed=1]"
    assert {(each.dtype, each.structure.outputs[1]) for each in cases} == {
        (dtype, time) for dtype in ("float32", "float64") for time in (1, 7)
    }
    assert [each.leads_sweep for each in cases] == [True, *[False] * 7]


def test_a_sweep_may_name_the_cells(read):
    (case,) = read("sweep: {cell: [peephole_lstm]}\n").cases
    assert case.cell == "peephole_lstm"


def test_a_case_comes_back_from_json(read):
    (case,) = read(LSTM + "tolerance: {U: {rtol: 1.0e-9}}\nimplementations: [derived]\n").cases
    assert ValidCase.from_plain(case.to_plain()) == case
    refuse_invalid(case)
    assert in_words(case)["tolerance"] == {"U": {"rtol": 1e-9}}
    case.recurrence["draw"]["upstream"] = "some"
    with pytest.raises(ValueError, match="upstream"):
        refuse_invalid(case)


def test_equal_sizes_are_a_blind_spot(read):
    (case,) = read(LSTM + "sizes: {I: 5, H: 5, time: 1}\n").cases
    assert [each.name for each in blind_spots_of_case(case)] == ["equal sizes", "one step"]


def test_a_letter_is_no_name_of_a_size_of_every_case():
    step = recurrences()["peephole_lstm"].step
    with pytest.raises(DeclarationError, match="never written"):
        recurrence(weights={"W": "time H"}, inputs={"x": "I"}, state={"h": "H"})(step)


def test_each_file_of_the_folder_is_about_one_recurrence():
    for file in find(ROOT / "cases" / "recurrences"):
        loaded = load([str(file.path)])
        assert not loaded.mistakes
        assert {each.cell for each in loaded.cases} == {file.path.stem}
        assert {each.dtype for each in loaded.cases} == {"float32", "float64"}
        assert {each.sizes.time for each in loaded.cases} >= {1, 7}
