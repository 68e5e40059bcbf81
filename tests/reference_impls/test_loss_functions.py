"""The losses by closed forms, at extremes, and blind to what they do not cover."""

import math

import numpy as np
import pytest

from reference_impls.losses import LOSSES, ROW_LOSSES

B, T, O = 2, 4, 3
COVERED = np.array([[True, False, True, False], [False, False, True, True]])
TERMS = {"squared_error": 4 * O, "softmax_cross_entropy": 4, "dot": 4 * O}


def data(loss, dtype=np.float64):
    random = np.random.default_rng(3)
    outputs = random.normal(size=(B, T, O)).astype(dtype)
    if loss == "softmax_cross_entropy":
        return outputs, random.integers(0, O, (B, T))
    return outputs, random.normal(size=(B, T, O)).astype(dtype)


def naive(loss, outputs, targets):
    """The sum over the covered rows by a loop in Python's own arithmetic, and its gradient."""
    total, d_outputs = 0.0, np.zeros((B, T, O))
    for b, t in zip(*np.nonzero(COVERED), strict=True):
        y = [float(each) for each in outputs[b, t]]
        for k in range(O):
            if loss == "squared_error":
                total += (y[k] - targets[b, t, k]) ** 2
                d_outputs[b, t, k] = 2 * (y[k] - targets[b, t, k])
            elif loss == "dot":
                total += y[k] * targets[b, t, k]
                d_outputs[b, t, k] = targets[b, t, k]
            else:
                softmax = math.exp(y[k]) / sum(map(math.exp, y))
                is_label = k == targets[b, t]
                total -= math.log(softmax) if is_label else 0.0
                d_outputs[b, t, k] = softmax - is_label
    return total, d_outputs


def test_loss_and_gradient_by_the_formula(loss, reduction):
    outputs, targets = data(loss)
    total, d_outputs = naive(loss, outputs, targets)
    terms = TERMS[loss] if reduction == "mean" else 1
    actual, d_actual = LOSSES[loss](outputs, targets, COVERED, reduction)
    assert actual.shape == ()
    assert actual == pytest.approx(total / terms, rel=1e-14)
    np.testing.assert_allclose(d_actual, d_outputs / terms, rtol=1e-13)


def test_each_loss_is_the_sum_of_its_rows(loss):
    assert ROW_LOSSES.keys() == LOSSES.keys()
    outputs, targets = data(loss)
    rows = ROW_LOSSES[loss](outputs[COVERED], targets[COVERED])
    assert rows.shape == (COVERED.sum(),)
    assert rows.sum() == pytest.approx(float(LOSSES[loss](outputs, targets, COVERED, "sum")[0]), rel=1e-14)


def test_the_gradient_is_exactly_zero_where_nothing_is_covered(loss, reduction):
    _, d_outputs = LOSSES[loss](*data(loss), COVERED, reduction)
    assert not d_outputs[~COVERED].any()
    assert d_outputs[COVERED].all()


@pytest.mark.parametrize("rubbish", [np.nan, np.inf, -np.inf, 1e308])
def test_what_is_not_covered_has_no_say(loss, reduction, rubbish):
    outputs, targets = data(loss)
    expected = LOSSES[loss](outputs, targets, COVERED, reduction)
    outputs[~COVERED] = rubbish
    targets[~COVERED] = -99 if targets.dtype.kind == "i" else rubbish
    actual = LOSSES[loss](outputs, targets, COVERED, reduction)
    np.testing.assert_array_equal(actual[0], expected[0])
    np.testing.assert_array_equal(actual[1], expected[1])


def test_nan_in_what_is_covered_is_not_hidden(loss, reduction):
    outputs, targets = data(loss)
    outputs[0, 0, 1] = np.nan
    value, d_outputs = LOSSES[loss](outputs, targets, COVERED, reduction)
    assert np.isnan(value)
    assert loss == "dot" or np.isnan(d_outputs[0, 0, 1])


def test_nothing_given_is_written_to(loss, reduction):
    outputs, targets = data(loss)
    for array in (outputs, targets):
        array.setflags(write=False)
    _, d_outputs = LOSSES[loss](outputs, targets, COVERED, reduction)
    assert not np.shares_memory(d_outputs, targets)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_softmax_of_a_thousand_does_not_overflow(dtype):
    outputs = np.array([[[1000, -1000], [-1000, 1000]]], dtype)
    covered = np.ones((1, 2), np.bool_)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        wrong, d_wrong = LOSSES["softmax_cross_entropy"](outputs, np.array([[1, 0]]), covered, "sum")
        right, d_right = LOSSES["softmax_cross_entropy"](outputs, np.array([[0, 1]]), covered, "sum")
    assert wrong == 4000
    least = np.exp(dtype(-2000))  # a number in longdouble, 0 in the others
    np.testing.assert_array_equal(d_wrong, [[[1, -1], [-1, 1]]])
    assert right <= 2 * least
    np.testing.assert_array_equal(d_right, [[[0, least], [least, 0]]])


def test_a_shift_of_the_logits_changes_nothing():
    outputs, labels = data("softmax_cross_entropy")
    outputs = np.round(outputs * 16) / 16  # so that shifting is exact
    expected = LOSSES["softmax_cross_entropy"](outputs, labels, COVERED, "sum")
    actual = LOSSES["softmax_cross_entropy"](outputs + 4096.0, labels, COVERED, "sum")
    np.testing.assert_array_equal(actual[0], expected[0])
    np.testing.assert_array_equal(actual[1], expected[1])


def test_the_complex_step_through_each_loss_is_its_gradient(loss, reduction):
    outputs, targets = data(loss)
    _, d_outputs = LOSSES[loss](outputs, targets, COVERED, reduction)
    for index in np.ndindex(outputs.shape):
        moved = outputs.astype(complex)
        moved[index] += 1e-20j
        by_step = LOSSES[loss](moved, targets, COVERED, reduction)[0].imag / 1e-20
        assert by_step == pytest.approx(d_outputs[index], rel=1e-13, abs=1e-15)


def test_each_row_of_logits_has_its_own_scale():
    """A row is shifted by its own maximum: by that of another, a thousand above, all its exponentials would be 0."""
    outputs = np.array([[[0.0, 1.0], [1000.0, 1001.0]]])
    labels, covered = np.array([[1, 1]]), np.ones((1, 2), np.bool_)
    loss, d_outputs = LOSSES["softmax_cross_entropy"](outputs, labels, covered, "sum")
    assert loss == pytest.approx(2 * math.log1p(math.exp(-1)), rel=1e-14)
    np.testing.assert_allclose(d_outputs[0, 0], d_outputs[0, 1], rtol=1e-14)
