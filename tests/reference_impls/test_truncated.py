"""Truncated gradients against what they are by definition: each step's loss with a graph of its own that is cut."""

from dataclasses import replace

import numpy as np
import pytest

from reference_impls import network, rnn_split
from reference_impls.truncation import Detach, Window

T = 5
SIZES = {"B": 2, "T": T, "I": 3, "H": 2, "O": 2}
TRUNCATIONS = [*(Detach(k) for k in (1, 2, 3, 4, 5, 8)), *(Window(k) for k in (0, 1, 2, 3, 4, 9))]
SHORTENED = [each for each in TRUNCATIONS if each[0] < T - isinstance(each, Window)]


def named(truncation):
    return f"{type(truncation).__name__.lower()}={truncation[0]}"


def start_of(truncation, t):
    """The step at which the graph of step t's loss starts."""
    if isinstance(truncation, Detach):
        return t // truncation.every * truncation.every
    return max(0, t - truncation.steps)


def by_definition(problem, truncation):
    """The sum over steps of the loss's derivative by complex perturbation of a forward pass that starts late."""
    states = [cache.states for cache in network.forward(*problem.arguments(rnn_split)).caches]  # (T + 1, B, H) each
    total = {name: np.zeros_like(array) for name, array in problem.given.items()}
    for t in range(problem.inputs.shape[1]):
        first = start_of(truncation, t)
        chunk = slice(first, t + 1)
        covered = problem.covered[:, chunk].copy()
        covered[:, :-1] = False
        late = replace(
            problem,
            inputs=problem.inputs[:, chunk],
            initial_state={f"layer{n}.h0": each[first] for n, each in enumerate(states)},
            targets=problem.targets[:, chunk],
            covered=covered,
        )
        for name, gradient in late.complex_step(rnn_split).items():
            if name == "inputs":
                total[name][:, chunk] += gradient
            elif not name.endswith("h0") or first == 0:
                total[name] += gradient
    return total


@pytest.mark.parametrize("truncation", TRUNCATIONS, ids=named)
def test_it_is_the_sum_of_the_gradients_of_cut_graphs(sized_net, assert_close, derivation, layers, readout, truncation):
    problem = sized_net(
        SIZES, activation="tanh", loss="squared_error", layers=layers, readout=readout, steps=[0, 1, 3, 4]
    )
    value, outputs, gradients = problem.solve(derivation, truncation)
    assert_close(gradients, by_definition(problem, truncation), 1e-13)
    in_full = problem.solve(derivation)
    assert value == in_full[0]
    np.testing.assert_array_equal(outputs, in_full[1])


@pytest.mark.parametrize("truncation", [Detach(2), Window(2)], ids=named)
def test_with_every_activation_and_loss(sized_net, assert_close, derivation, activation, loss, truncation):
    problem = sized_net(SIZES, activation=activation, loss=loss, layers=2, readout=True)
    assert_close(problem.solve(derivation, truncation)[2], by_definition(problem, truncation), 1e-13)


@pytest.mark.parametrize("truncation", [each for each in TRUNCATIONS if each not in SHORTENED], ids=named)
def test_as_long_as_the_sequence_it_is_the_full_gradient(sized_net, assert_close, derivation, truncation):
    problem = sized_net(SIZES, activation="tanh", loss="dot", layers=2, readout=True)
    assert_close(problem.solve(derivation, truncation)[2], problem.solve(derivation)[2], 1e-14)


@pytest.mark.parametrize("truncation", SHORTENED, ids=named)
def test_one_off_is_another_gradient(sized_net, derivation, truncation):
    """The comparisons above could not fail if lengths did not matter."""
    problem = sized_net(SIZES, activation="tanh", loss="dot", layers=2, readout=True)
    right = problem.solve(derivation, truncation)[2]
    longer = problem.solve(derivation, type(truncation)(truncation[0] + 1))[2]
    other = problem.solve(derivation, (Window if isinstance(truncation, Detach) else Detach)(truncation[0] + 1))[2]
    for wrong in (longer, other, problem.solve(derivation)[2]):
        for name in ("layer0.W_xh", "layer1.W_hh", "inputs"):
            alike = np.allclose(wrong[name], right[name], rtol=1e-3)
            assert alike == (wrong is other and truncation == Window(0)), name


@pytest.mark.parametrize("truncation", [Detach(1), Window(0), Detach(3), Window(3)], ids=named)
@pytest.mark.parametrize("steps", [1, 2], ids="T={}".format)
def test_a_sequence_of_a_step_or_two(sized_net, assert_close, derivation, truncation, steps):
    problem = sized_net(SIZES | {"T": steps}, activation="tanh", loss="dot", layers=2, readout=True)
    assert_close(problem.solve(derivation, truncation)[2], by_definition(problem, truncation), 1e-13)


def test_what_no_loss_reaches_is_zero(sized_net, derivation):
    """With a loss at the last step alone, a chunk or window that ends there hides the rest of the sequence."""
    problem = sized_net(SIZES, activation="tanh", loss="squared_error", layers=2, steps=[-1])
    for truncation, first in ((Detach(3), 3), (Window(2), 2)):
        gradients = problem.solve(derivation, truncation)[2]
        assert not gradients["inputs"][:, :first].any()
        assert gradients["inputs"][:, first:].all()
        assert not gradients["layer0.h0"].any()
