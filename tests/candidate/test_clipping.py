"""Clipped gradients are recognised, and gradients that merely are wrong are not called clipped."""

import numpy as np
import pytest

from harness.candidate.trial.clipping import clipped

SHAPES = {"layer0.W_xh": (3, 5), "layer0.W_hh": (5, 5), "layer0.b_h": (5,), "layer0.h0": (2, 5)}
RANDOM = np.random.Generator(np.random.PCG64(7))
TRUE = {name: RANDOM.normal(0, 2, shape) for name, shape in SHAPES.items()}
WEIGHTS = list(SHAPES)[:3]


def kinds(actual, expected=TRUE):
    return [remark.kind for remark in clipped(actual, expected)]


def norm_of(gradients):
    return np.sqrt(sum((gradients[name] ** 2).sum() for name in WEIGHTS))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bound", [0.1, 0.5, 1, 3.3])
def test_by_value(bound, dtype):
    cut = {name: np.clip(array, -bound, bound).astype(dtype) for name, array in TRUE.items()}
    assert kinds(cut) == ["clipped by value"]
    assert kinds({name: cut[name] for name in WEIGHTS}) == ["clipped by value"]


@pytest.mark.parametrize("bound", [0.5, 1, 5])
def test_by_norm_of_the_weights_alone(bound):
    factor = bound / (norm_of(TRUE) + 1e-6)  # as torch.nn.utils.clip_grad_norm_ does it
    assert kinds({name: array * factor if name in WEIGHTS else array for name, array in TRUE.items()}) == [
        "clipped by norm"
    ]


def test_wrong_gradients_that_are_clipped_as_well():
    wrong = {name: np.clip(-array, -0.5, 0.5) for name, array in TRUE.items()}
    assert kinds(wrong) == ["clipped by value"]


ones = {name: np.ones(shape) for name, shape in SHAPES.items()}
NOT_CLIPPED = {
    "right": TRUE,
    "halved": {name: array / 2 for name, array in TRUE.items()},
    "mean_over_the_batch": {name: array / 6 for name, array in TRUE.items()},
    "zero": {name: array * 0 for name, array in TRUE.items()},
    "another_sign": {name: -array for name, array in TRUE.items()},
    "constant": ones,
    "not_finite": {name: array * np.nan for name, array in TRUE.items()},
    "other_shapes": {name: array[None] for name, array in TRUE.items()},
    "nothing": {},
    "of_other_names": {"layer9.W_xh": TRUE["layer0.W_xh"]},
}


@pytest.mark.parametrize("actual", NOT_CLIPPED.values(), ids=NOT_CLIPPED)
def test_what_is_not_clipped(actual):
    assert kinds(actual) == []


COPIES = {
    "one_number_everywhere": ([3.0, 4.0], [2.5, 2.5]),
    "one_row_for_all": ([[5.0, 1.0], [6.0, 2.0], [7.0, 3.0]], [[4.0, 1.0], [4.0, 1.0], [4.0, 1.0]]),
    "a_round_number_for_some": ([3.0, 4.0, 5.0, 6.0, 0.3, 0.7], [2.0, 2.0, 2.0, 2.0, 0.1, 0.9]),
}


@pytest.mark.parametrize(("expected", "actual"), COPIES.values(), ids=COPIES)
def test_copies_are_not_clipped(expected, actual):
    """Values of one sign, beside others that are wrong, leave nothing that shows a cut."""
    assert kinds({"layer0.b_h": np.array(actual)}, {"layer0.b_h": np.array(expected)}) == []


def test_one_sign_is_clipped_where_all_else_is_right():
    expected = {"layer0.b_h": np.array([3.0, 4.0, 0.1, 0.7])}
    assert kinds({"layer0.b_h": np.array([2.0, 2.0, 0.1, 0.7])}, expected) == ["clipped by value"]


def test_equal_gradients_of_equal_inputs_are_not_clipped():
    rows = {"layer0.W_xh": np.tile([3.0, 1.0, 2.0], (4, 1))}  # inputs of ones: each row the same
    assert kinds({"layer0.W_xh": rows["layer0.W_xh"] / 3}, rows) == []
