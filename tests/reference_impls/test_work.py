"""The work of the closed form, which decides whether it runs: counted by hand for one small network."""

from reference_impls import linear_dynamics
from reference_impls.linear_dynamics import Reach


def test_linear_dynamics_take_all_pairs_of_steps_that_reach_each_other():
    groups = [Reach(range(2), 0), Reach(range(2, 5), 1)]
    pairs = 5 * 5 / 2 + 2 * 2 / 2 + 4 * 4 / 2
    assert linear_dynamics.work(5, 2, 3, groups, 4) == 4 * 3 * 3 * (2 * pairs + 3 * 5)
