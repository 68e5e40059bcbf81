"""The work of the oracles, which decides whether they run: counted by hand for one small network each."""

import pytest

from reference_impls import complex_step, complex_step_gated, linear_dynamics
from reference_impls.linear_dynamics import Reach

T, B, I, H, O = 3, 2, 4, 5, 6


def test_one_perturbation_passes_through_its_own_layer_and_all_above():
    assert complex_step.work_of_one(T, B, H, O, 0) == T * B * (H * H + H * O) == 330
    assert complex_step.work_of_one(T, B, H, O, 1) == T * B * (3 * H * H + H * O) == 630


def test_each_number_of_a_layer_is_perturbed_once_and_an_input_for_half_of_the_steps():
    first, second = (4 * 5 + 5 * 5 + 5) + 5 + 3 * 4 / 2, (5 * 5 + 5 * 5 + 5) + 5
    assert list(complex_step.work(T, B, I, H, O, 2)) == [first * 630, second * 330]


@pytest.mark.parametrize(("directions", "expected"), [(1, 135 + 150 + 150 + 30), (2, 270 + 450 + 450 + 60)])
def test_one_perturbation_of_a_gated_network_passes_through_all_of_it_in_complex_numbers(directions, expected):
    given = {} if directions == 1 else {"directions": directions}
    assert complex_step_gated.work_of_one(T, B, I, H, 3, O, 3, **given) == 4 * T * B * expected


def test_one_layer_reads_the_inputs():
    assert complex_step_gated.work_of_one(T, B, I, H, 3, O, 1) == 4 * T * B * (3 * H * (I + H) + H * O)


def test_linear_dynamics_take_all_pairs_of_steps_that_reach_each_other():
    groups = [Reach(range(2), 0), Reach(range(2, 5), 1)]
    pairs = 5 * 5 / 2 + 2 * 2 / 2 + 4 * 4 / 2
    assert linear_dynamics.work(5, 2, 3, groups, 4) == 4 * 3 * 3 * (2 * pairs + 3 * 5)
