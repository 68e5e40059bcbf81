"""hypothesis shrinks a case from the choices that made it."""

import random

import pytest

from harness.case import CaseFile, read
from harness.fuzz.candidates import Drawing, case_of
from harness.fuzz.shrinking import shrunk
from harness.fuzz.source import FromSeed
from harness.fuzz.writing import name_of, write

DRAWING = Drawing(11)


def first(holds):
    return next(number for number in range(5000) if holds(DRAWING.data(FromSeed(11, number))))


def corner(data):
    return data["layers"] > 1 and data["sizes"]["time"] == 1 and data.get("activation") == "relu"


def one_with_lengths(data):
    return data["sizes"]["batch"] == 1 and "lengths" in data


def training_with_batches(data):
    return data.get("training", {}).get("batch", 1) > 1


MINIMAL = {
    "corner": (corner, {"layers": 2, "activation": "relu"}, 1),
    "one_with_lengths": (one_with_lengths, {"lengths": [1], "layers": 1}, 1),
    "training_with_batches": (training_with_batches, {"layers": 1, "cell": "rnn"}, 2),
}


@pytest.mark.parametrize(("holds", "fields", "batch"), MINIMAL.values(), ids=MINIMAL)
def test_a_case_becomes_as_small_as_it_can_be(holds, fields, batch):
    number = first(holds)
    asked = []

    def asked_once(data):
        assert str(data) not in asked
        asked.append(str(data))
        return holds(data)

    found = shrunk(DRAWING.choices(number), DRAWING.data, asked_once)
    assert asked[0] == str(DRAWING.data(FromSeed(11, number))), "it begins with the case that was found"
    assert fields.items() <= found.items()
    assert found.get("training", {}).keys() <= {"steps", "optimizer", "batch"}
    assert found["sizes"] == {"batch": batch, "time": 1, "input": 1, "hidden": 1}
    assert not found["bidirectional"]
    assert "truncation" not in found
    case_of(found, "shrunk")


def test_what_holds_now_and_then_is_shrunk_to_something_of_which_it_held():
    choose, held = random.Random(2), []

    def now_and_then(data):
        held.append(data)
        return len(held) == 1 or choose.random() < 0.5

    found = shrunk(DRAWING.choices(4), DRAWING.data, now_and_then)
    assert found in held


def test_a_found_case_reads_back_as_the_case_that_it_is(tmp_path):
    for number in range(60):
        data = DRAWING.data(FromSeed(11, number))
        path = tmp_path / "cases" / "found" / f"{name_of(data, 'torch')}.yaml"
        write(data, "About: it's said, 'so'.", ["one line", "another: with - signs"], path)
        (case,) = read(CaseFile(path, tmp_path / "cases")).cases
        want = case_of(data, "x")
        for name in vars(want):
            if name not in ("name", "file", "about", "targets"):
                assert getattr(case, name) == getattr(want, name), (name, path.read_text())
        assert (case.targets or "zeros") == (want.targets or "zeros") or want.loss.kind == "dot"
    assert len(list(path.parent.iterdir())) > 55


def test_a_case_that_was_found_before_keeps_what_its_user_made_of_it(tmp_path):
    data, path = DRAWING.data(FromSeed(11, 1)), tmp_path / "cases" / "found" / "again.yaml"
    write(data, "Found.", [], path)
    path.write_text(path.read_text().replace("Found.", "My own words."))
    write(data, "Found.", [], path)
    assert "My own words." in path.read_text()
