"""The table of tolerances, and the bounds of curves that follow from it: no line is missing, none is looser unseen."""

import math

import numpy as np
import pytest

from harness.case.training import LOSS_CURVE, of_step
from harness.precision.tolerance import (
    ILL_CONDITIONED,
    IN_CACHE,
    OTHER_UNITS,
    UNITS,
    Bound,
    bound,
    largest_magnitude,
    noise_for,
)
from harness.tensors import GATES, Structure, kind_of

EPS = 2.0**-52
LEAST = 5e-324


def kinds():
    found = {"loss", "outputs", "training.loss", "trained"}
    for cell in GATES:
        structure = Structure(cell, layers=2, batch=1, time=1, input=1, hidden=1, output=1, directions=2)
        found |= {kind_of(name) for name in structure.gradients}
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kind_of_tensor_has_a_line_and_no_line_has_no_kind(dtype):
    assert UNITS[dtype].keys() == kinds()


def test_no_line_is_looser_than_the_errors_that_were_measured_allow():
    """``make tolerances`` measures them. A line that is to be looser is so here, too."""
    assert UNITS.keys() == {"float32", "float64"}
    assert max(OTHER_UNITS, *(units for lines in UNITS.values() for units in lines.values())) <= 16


def test_what_ill_conditioned_means_is_said():
    assert ILL_CONDITIONED == "ill-conditioned: rounding alone takes more than half of its digits"


@pytest.mark.parametrize(
    ("values", "largest"),
    [([], 0.0), ([1, -3, 2], 3.0), ([-np.inf, -3, 2], 3.0), ([np.nan, 1], 1.0), ([np.nan], 0.0), ([np.inf, 0.5], 0.5)],
    ids=str,
)
def test_the_largest_magnitude_is_that_of_finite_elements(values, largest):
    assert largest_magnitude(np.array(values, np.float64)) == largest


@pytest.mark.parametrize("shape", [(IN_CACHE,), (IN_CACHE + 1,), (3 * IN_CACHE + 7,), (2, 2 * IN_CACHE), (IN_CACHE, 2)])
@pytest.mark.parametrize("where", [0, IN_CACHE - 1, -1])
def test_of_a_large_tensor_it_is_found_in_whichever_piece_it_is(shape, where):
    tensor = np.zeros(shape, np.float32)
    for value in (3.0, -3.0):
        tensor.flat[where] = value
        assert largest_magnitude(tensor) == 3
    tensor.flat[where], tensor.flat[7] = np.nan, -2
    assert largest_magnitude(tensor) == 2


def test_a_large_tensor_is_looked_at_in_pieces_that_fit_into_the_cache(monkeypatch):
    pieces = []
    real = np.array_split

    def counted(tensor, sections):
        pieces.extend(len(each) for each in real(tensor, sections))
        return real(tensor, sections)

    monkeypatch.setattr(np, "array_split", counted)
    largest_magnitude(np.ones(IN_CACHE))
    assert pieces == []
    largest_magnitude(np.ones(4 * IN_CACHE))
    assert pieces == [IN_CACHE] * 4


def test_where_the_scale_underflows_the_next_number_is_within_the_bound_and_of_zeros_none_is():
    assert bound("loss", np.array([1e-310])).atol == 16 * LEAST
    assert bound("loss", np.zeros(2)).atol == 0
    assert bound("loss", np.zeros(2)).origin == "16 units for loss in float64: eps x largest element 0"


def test_where_a_number_comes_from_is_said():
    assert bound("layer0.b_h", np.array([2.0])).origin == "16 units for b_h in float64: eps x largest element 2"
    assert (
        bound("layer0.b_h", np.array([2.0]), noise=1e-9).origin == "16 units for b_h in float64: rounding noise 1e-09"
    )
    assert bound("labels", np.array([2])) == Bound(0.0, 0.0, "exact, since labels is int64")


STEPS = {of_step(0): 1e-3, of_step(1): 2e-3, LOSS_CURVE: 5e-3, "loss": 7.0}


def test_the_curve_has_the_noise_of_each_step_and_its_own_where_a_step_has_none():
    assert noise_for(LOSS_CURVE, (3,), STEPS).tolist() == [1e-3, 2e-3, 5e-3]


def test_what_is_no_curve_has_one_noise():
    assert noise_for("loss", (3,), STEPS) == 7.0
    assert noise_for("outputs", (3,), STEPS) is None
    assert noise_for(LOSS_CURVE, (3, 1), STEPS) == 5e-3
    assert noise_for(LOSS_CURVE, (3,), {LOSS_CURVE: 5e-3}) == 5e-3
    assert noise_for(LOSS_CURVE, (3,), None) is None


def test_a_curve_of_which_one_step_is_known_has_that_step():
    assert noise_for(LOSS_CURVE, (2,), {of_step(0): 1e-3, LOSS_CURVE: 5e-3}).tolist() == [1e-3, 5e-3]


def test_each_step_of_a_curve_is_bound_by_what_came_before_it():
    curve = np.array([4.0, -8.0, 2.0, np.inf, 0.0])
    noise = np.array([1e-19, 0.0, 1e-14, 0.0, 1e-20])
    found = bound(LOSS_CURVE, curve, noise=noise)
    units = [EPS * 4, EPS * 8, 1e-14, EPS * 8, EPS * 8]
    assert found.by_element.tolist() == [16 * unit for unit in units]
    assert (found.rtol, found.atol, found.ill_conditioned) == (0, 16 * 1e-14, False)
    assert found.origin == (
        "16 units for training.loss in float64: rounding noise 1e-19 at the first step, 1e-20 at the last"
    )


def test_a_curve_of_zeros_is_bound_by_the_least_number():
    assert bound(LOSS_CURVE, np.zeros(2), noise=np.zeros(2)).by_element.tolist() == [16 * LEAST, 16 * LEAST]


def test_a_curve_is_ill_conditioned_from_the_first_step_that_loses_half_of_its_digits():
    half = math.sqrt(EPS) * 4
    curve = np.array([4.0, 1.0])
    assert not bound(LOSS_CURVE, curve, noise=np.array([0.0, half])).ill_conditioned
    assert bound(LOSS_CURVE, curve, noise=np.array([0.0, half * 1.001])).ill_conditioned


def test_of_a_case_that_gives_half_a_tolerance_the_other_half_is_zero():
    assert bound("loss", np.ones(1), {"rtol": 0.5}) == Bound(0.5, 0.0, "the case's tolerance")
    assert bound("loss", np.ones(1), {"atol": 0.5}) == Bound(0.0, 0.5, "the case's tolerance")
    assert bound("loss", np.ones(1), {"other": {"rtol": 1.0}}).rtol == 0


def test_a_loss_that_is_not_finite_is_no_scale():
    found = bound(LOSS_CURVE, np.array([np.inf, 0.5]), noise=np.zeros(2))
    assert found.by_element.tolist() == [16 * LEAST, 16 * EPS * 0.5]


def test_half_of_the_digits_is_not_more_than_half():
    half = math.sqrt(EPS) * 4
    assert not bound("loss", np.array([4.0]), noise=half).ill_conditioned


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_line_counts_for_its_own_kind_and_dtype_alone(monkeypatch, dtype):
    monkeypatch.setitem(UNITS[dtype], "b_h", 3.0)
    eps = float(np.finfo(dtype).eps)
    assert bound("layer0.b_h", np.ones(1, dtype)).atol == 3 * eps
    assert bound("layer0.W_hh", np.ones(1, dtype)).atol == 16 * eps
    other = np.ones(1, "float32" if dtype == "float64" else "float64")
    assert bound("layer0.b_h", other).atol == 16 * float(np.finfo(other.dtype).eps)


@pytest.mark.parametrize("noise", [None, 1e-9], ids=["of the largest element", "of noise"])
def test_arithmetic_that_is_coarser_by_a_factor_has_a_bound_larger_by_it(noise):
    own, coarser = (
        bound("layer0.b_h", np.array([2.0]), noise=noise, eps=eps) for eps in (np.nextafter(EPS, 0), 1024 * EPS)
    )
    assert own == bound("layer0.b_h", np.array([2.0]), noise=noise, eps=EPS)
    assert own == bound("layer0.b_h", np.array([2.0]), noise=noise)
    assert coarser == Bound(
        0.0, 1024 * own.atol, f"{own.origin}, 1024 times that for products with eps {1024 * EPS:.2g}"
    )
    assert (own.ill_conditioned, own.by_element, coarser.by_element) == (False, None, None)
    assert own.ill_conditioned is False


def test_a_curve_of_coarser_arithmetic_has_each_step_larger_by_it():
    curve, noise = np.array([4.0, 1.0]), np.array([0.0, 1e-3])
    own, coarser = bound(LOSS_CURVE, curve, noise=noise), bound(LOSS_CURVE, curve, noise=noise, eps=8 * EPS)
    assert coarser.by_element.tolist() == (8 * own.by_element).tolist()
    assert (coarser.atol, coarser.ill_conditioned) == (8 * own.atol, own.ill_conditioned)
    assert own.ill_conditioned
