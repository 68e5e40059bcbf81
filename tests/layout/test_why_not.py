"""The message on a returned tensor that its layout does not have, and the one that it most likely means."""

import pytest

from harness.layout import layouts, layouts_of
from harness.layout.names import nearest_tensor, why_not
from harness.tensors import RecurrenceStructure, Structure

STRUCTURE = Structure("rnn", layers=2, batch=2, time=3, input=4, hidden=5, output=6)
SPLIT = layouts()["split"].shapes(STRUCTURE)
ALL = [
    *("loss", "outputs", "layer0.W_xh", "layer0.W_hh", "layer0.b_h", "layer1.W_xh", "layer1.W_hh", "layer1.b_h"),
    *("readout.W_hy", "readout.b_y", "layer0.h0", "layer1.h0", "inputs"),
]


SHAPES = {
    "weights": {"W": (4, 5)},
    "given": {"h0": (2, 5)},
    "held": {"inputs.mask": (2, 3)},
    "forward": {"outputs": (2, 3, 5)},
    "last_state": {},
}
RECURRENCE = RecurrenceStructure(
    "masked", 1, 2, 3, 0, 0, None, shapes=tuple((kind, tuple(each.items())) for kind, each in SHAPES.items())
)


def said(name, shape, returned=(), layout="split"):
    return why_not(name, shape, layout, STRUCTURE, [name, *returned])


@pytest.mark.parametrize(
    ("name", "shape"),
    [("loss", ()), ("outputs", (2, 3, 6)), ("inputs", (2, 3, 4)), ("layer1.h0", (2, 5)), *SPLIT.items()],
    ids=str,
)
def test_nothing_is_said_of_the_right_name_and_shape(name, shape):
    assert said(name, shape) == ""
    assert said(name, (*shape, 7)).startswith(f"has shape {(*shape, 7)}, but should have {shape}")


def test_the_nearest_name_that_is_still_missing_is_said():
    assert said("layer0.W_hx", (4, 5)) == (
        "returned 'layer0.W_hx', which is no tensor of this case; did you mean layer0.W_xh?"
    )
    others = [name for name in SPLIT if name.startswith("layer0")]
    assert "did you mean layer1.W_xh?" in said("layer0.W_hx", (5, 5), others)


def test_a_wrong_shape_under_a_wrong_name_is_said_with_it():
    assert said("layer0.W_hx", (5, 4)) == (
        "returned 'layer0.W_hx', which is no tensor of this case; did you mean layer0.W_xh?; "
        "its shape is (5, 4), but should be (4, 5)"
    )


def test_a_name_of_another_layout_is_said_to_be_one():
    assert said("weight_ih_l0", (5, 4)) == (
        "returned 'weight_ih_l0', a name of the layout 'torch'; this implementation has the layout 'split', "
        f"whose tensors are {', '.join(SPLIT)}"
    )


def test_where_nothing_is_near_all_names_are_said():
    assert said("zzz", (1,)) == f"returned 'zzz', which is no tensor of this case; there are {', '.join(ALL)}"


@pytest.mark.parametrize(
    ("name", "meant"),
    {
        "layer0.W_hx": "layer0.W_xh",
        "Layer0_Wxh": "layer0.W_xh",
        "dlayer1.W_xh": "layer1.W_xh",
        "grad_layer0.b_h": "layer0.b_h",
        "dL_dlayer0.W_hh": "layer0.W_hh",
        "d_loss_d_layer0.W_hh": "layer0.W_hh",
        "dW_hy": "readout.W_hy",
        "Why": "readout.W_hy",
        "by": "readout.b_y",
        "dinputs": "inputs",
        "W_xh": "",  # of two layers
        "d": "",
        "x": "",
    }.items(),
    ids=str,
)
def test_people_mean_one_tensor_by_many_names(name, meant):
    expected = dict.fromkeys(ALL, ())
    assert nearest_tensor(name, expected) == meant


def test_of_a_bidirectional_layer_the_place_is_all_that_stands_before_the_last_point():
    assert nearest_tensor("dW_xh", {"layer0.reverse.W_xh": (), "layer0.reverse.b_h": ()}) == "layer0.reverse.W_xh"
    assert nearest_tensor("dW_xh", {"layer0.W_xh": (), "layer0.reverse.W_xh": ()}) == ""


def test_a_recurrence_has_its_own_names_alone():
    assert layouts_of(RECURRENCE) == {"split": layouts()["split"]}
    assert layouts_of(STRUCTURE) == layouts()


def test_an_input_that_is_held_fixed_is_said_to_be_one():
    assert why_not("inputs.mask", (2, 3), "split", RECURRENCE, ["inputs.mask"]) == (
        "returned 'inputs.mask', but mask is held fixed and has no gradient; leave it out"
    )
