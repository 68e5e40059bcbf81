"""Paths, nearest names and lists as the user reads them."""

import pytest

from harness.casefile import Mistake, MistakesFound, dotted, listed, nearest


def test_a_path_is_written_with_dots_and_brackets():
    assert dotted(("loss", "steps", 1)) == "loss.steps[1]"
    assert dotted((0, "a")) == "[0].a"
    assert dotted(()) == ""


@pytest.mark.parametrize(
    ("name", "valid", "hint"),
    [
        ("hiden", ["hidden", "input"], "did you mean 'hidden'?"),
        ("torhc", ["torch", "keras"], "did you mean 'torch'?"),
        ("xyz", ["hidden", "input"], ""),
        ("lengths", ["weights"], ""),
        (3, ["hidden"], ""),
    ],
)
def test_the_nearest_name_is_offered_only_if_it_is_near(name, valid, hint):
    assert nearest(name, valid) == hint


def test_names_are_listed_as_in_a_sentence():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b or c"


def test_a_mistake_is_one_line_that_editors_can_follow():
    mistake = Mistake("cases/x.yaml", 3, 7, ("sizes", "hiden"), "unknown key", "did you mean 'hidden'?")
    assert str(mistake) == "cases/x.yaml:3:7: sizes.hiden: unknown key; did you mean 'hidden'?"
    assert str(Mistake("x", None, None, (), "is empty")) == "x: is empty"
    assert str(MistakesFound([mistake, mistake])).count("\n") == 1


def test_what_was_typed_is_never_suggested():
    assert nearest("encoder", ["encoder"]) == ""
    assert nearest("encoder", ["encoder", "encoder1"]) == "did you mean 'encoder1'?"
