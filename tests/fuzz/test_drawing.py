"""Random cases: valid, all of them, and every field of the schema is drawn with everything that it may be."""

import dataclasses
from collections import defaultdict
from dataclasses import make_dataclass
from typing import Annotated, Literal, get_args

import pytest
from annotated_types import Ge
from typing_extensions import TypedDict

from harness.case.fields import SPEC_KEYS, SPEC_WORDS, Fields, Loss, Sizes, Training
from harness.fuzz import arrays, drawing
from harness.fuzz.by_type import NotDrawn, hints, members, of_type
from harness.fuzz.candidates import Drawing, case_of
from harness.fuzz.drawing import drawn
from harness.fuzz.source import FromDraws, FromSeed

CASES = 1500
FRAMEWORKS = ("torch", "keras", "tf1")


@pytest.fixture(scope="module")
def data():
    return [drawn(FromSeed(5, number), frameworks=FRAMEWORKS) for number in range(CASES)]


def names(of):
    return {each.name for each in dataclasses.fields(of)}


def test_every_field_is_drawn_or_left_out_for_a_reason(data):
    drawn_fields = {name for each in data for name in each}
    assert drawn_fields | drawing.NOT_DRAWN.keys() == names(Fields)
    assert not drawn_fields & drawing.NOT_DRAWN.keys()
    assert all(drawing.NOT_DRAWN.values())
    assert {name for each in data for name in each["sizes"]} == names(Sizes)
    assert {name for each in data for name in each["loss"]} == names(Loss)
    trainings = [each["training"] for each in data if "training" in each]
    assert {name for each in trainings for name in each} == Training.__annotations__.keys()
    assert set.intersection(*map(set, trainings)) == {"steps", "optimizer"}


@pytest.mark.parametrize("of", [Fields, Loss], ids=lambda of: of.__name__)
def test_every_value_of_a_choice_is_drawn(data, of):
    seen = defaultdict(set)
    for each in data:
        for name, value in (each if of is Fields else each["loss"]).items():
            if isinstance(value, str | bool):
                seen[name].add(value)
    for name, annotation in hints(of).items():
        literals = [each for each in (annotation, *get_args(annotation)) if hasattr(each, "__origin__")]
        for literal in literals:
            if literal.__origin__ is Literal and name not in drawing.NOT_DRAWN:
                assert seen[name] == set(get_args(literal)), name
    assert seen["bidirectional"] == ({True, False} if of is Fields else set())


def test_every_kind_of_truncation_optimizer_and_array_is_drawn(data):
    assert {each["truncation"]["kind"] for each in data if "truncation" in each} == {"detach", "window"}
    assert {kind for each in data for kind in each.get("training", {}).get("optimizer", {})} == set(
        members(hints(Training)["optimizer"])
    )
    specs = [each[name] for each in data for name in ("inputs", "weights", "initial_state") if name in each]
    kinds = {key for each in specs if isinstance(each, dict) for key in each}
    assert {each for each in specs if isinstance(each, str)} == set(SPEC_WORDS)
    assert kinds >= set(SPEC_KEYS) - arrays.NOT_DRAWN.keys()
    assert not kinds & arrays.NOT_DRAWN.keys()
    assert {each["from"] for each in specs if isinstance(each, dict) and "from" in each} == set(FRAMEWORKS)


def test_every_case_is_valid(data):
    for each in data[:600]:
        case_of(each, "drawn")  # raises if not


def test_a_case_depends_on_seed_and_number_alone():
    drawing_ = Drawing(3)
    late, early = drawing_.of(7), [drawing_.of(number) for number in range(8)][7]
    assert late == early
    assert Drawing(4).of(7) != late
    assert len({str(drawing_.data(FromSeed(3, number))) for number in range(100)}) > 95


def test_the_choices_of_a_case_make_it_again():
    drawing_ = Drawing(3, {"cell": "lstm"})
    left = iter(drawing_.choices(12))
    assert drawing_.data(FromDraws(lambda _: next(left))) == drawing_.data(FromSeed(3, 12))
    assert next(left, None) is None
    assert drawing_.of(12).cell == "lstm"


def test_the_simplest_case_is_the_smallest():
    simplest = drawn(FromDraws(lambda _: 0))
    assert simplest["sizes"] == {"batch": 1, "time": 1, "input": 1, "hidden": 1}
    assert (simplest["cell"], simplest["layers"], simplest["dtype"]) == ("rnn", 1, "float64")
    assert not {"lengths", "truncation", "training", "reset"} & simplest.keys()


class Options(TypedDict):
    """A field of a later version."""

    rate: Annotated[int, Ge(2)]


def test_a_field_of_a_later_version_is_drawn_by_its_type_or_missed(monkeypatch):
    later = [("leak", Literal["none", "linear"], "none"), ("noise", Options | None, None)]
    monkeypatch.setattr(drawing, "Fields", make_dataclass("Later", later, bases=(Fields,), frozen=True, kw_only=True))
    drawing.in_order.cache_clear()
    drawing._default.cache_clear()
    try:
        found = [drawn(FromSeed(1, number)) for number in range(60)]
    finally:
        drawing.in_order.cache_clear()
        drawing._default.cache_clear()
    assert {each["leak"] for each in found} == {"none", "linear"}
    assert {each["noise"]["rate"] for each in found if "noise" in each} <= {2, 3, 4, 5}
    with pytest.raises(NotDrawn, match="write a rule for the field"):
        of_type(FromSeed(1, 1), complex)
